"""GStreamer's RTSP server as a relay: one shared factory, RTP in on a UDP port, out to every viewer.

Arguments: address, RTSP port, UDP port. Packets go out as they came in, which costs GStreamer less
than taking them apart and cutting them anew.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

address, rtsp_port, udp_port = sys.argv[1:4]
Gst.init(None)
caps = "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000"
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f'( udpsrc address={address} port={udp_port} buffer-size=4194304 caps="{caps}" name=pay0 )')
factory.set_shared(True)
factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
server = GstRtspServer.RTSPServer()
server.set_address(address)
server.set_service(rtsp_port)
server.get_mount_points().add_factory("/relay", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
