"""An RTSP viewer on GStreamer's rtspsrc, interleaved.

Usage: gst_view.py URL SOUND_FILE SOUND_RATE
Writes pictures as raw GRAY8 to standard output and the sound as mono S16LE to SOUND_FILE; ends
by itself on SIGINT. Every branch is built when its pad appears, from the encoding that the pad
names: `gst-launch` links delayed pads from two threads at once and may lose one of them, and
`decodebin` holds live AAC back until the stream ends. Needs python3-gi; run it with the system's
Python.
"""

import signal
import sys
from urllib.parse import urlsplit

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

LATENCY_MS = 200
VIDEO = {
    "H264": "rtph264depay ! h264parse ! avdec_h264",
    "H265": "rtph265depay ! h265parse ! avdec_h265",
}
AUDIO = {
    "OPUS": "rtpopusdepay ! opusdec",
    "PCMA": "rtppcmadepay ! alawdec",
    "PCMU": "rtppcmudepay ! mulawdec",
    "MPEG4-GENERIC": "rtpmp4gdepay ! aacparse ! avdec_aac",
}
# The pictures leave through a queue, so that a slow reader does not hold up the source.
PICTURES = "queue ! videoconvert ! video/x-raw,format=GRAY8 ! fdsink fd=1 sync=false async=false"
SOUND = (
    "audioconvert ! audioresample ! audio/x-raw,format=S16LE,channels=1,rate={rate} "
    "! filesink location={path} sync=false async=false"
)


def branch(encoding, path, rate):
    """The chain for an encoding name of RTP, or None for one that is not shown."""
    if encoding in VIDEO:
        return f"{VIDEO[encoding]} ! {PICTURES}"
    if encoding in AUDIO:
        return f"{AUDIO[encoding]} ! {SOUND.format(path=path, rate=rate)}"
    return None


def main(url, path, rate):
    Gst.init(None)
    place = urlsplit(url)
    pipeline = Gst.Pipeline.new(None)
    source = Gst.ElementFactory.make("rtspsrc", None)
    source.set_property("location", place._replace(netloc=place.netloc.split("@")[-1]).geturl())
    source.set_property("user-id", place.username or "")
    source.set_property("user-pw", place.password or "")
    Gst.util_set_object_arg(source, "protocols", "tcp")
    source.set_property("latency", LATENCY_MS)
    pipeline.add(source)

    def on_pad(_, pad):
        encoding = pad.get_current_caps().get_structure(0).get_string("encoding-name")
        chain = branch(encoding, path, rate)
        if chain is None:
            print(f"no decoder for {encoding}", file=sys.stderr)
            return
        bin_ = Gst.parse_bin_from_description(chain, True)
        pipeline.add(bin_)
        bin_.sync_state_with_parent()
        pad.link(bin_.get_static_pad("sink"))

    source.connect("pad-added", on_pad)
    loop = GLib.MainLoop()
    failed = []

    def on_message(_, message):
        if message.type == Gst.MessageType.ERROR:
            error, details = message.parse_error()
            failed.append(f"{error.message}: {details}")
            loop.quit()
        elif message.type == Gst.MessageType.EOS:
            loop.quit()

    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, loop.quit)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    pipeline.set_state(Gst.State.NULL)
    if failed:
        sys.exit(failed[0])


if __name__ == "__main__":
    main(*sys.argv[1:4])
