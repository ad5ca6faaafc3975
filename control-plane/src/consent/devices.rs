//! Purposes that have to do with adding and knowing devices.

use super::Purpose;

/// Knowing the terminal with which a device was added.
pub const DEVICE_BIND: Purpose = Purpose {
    id: "device.bind",
    version: 1,
    optional: true,
    fields: &["client", "model", "hardware_fingerprint", "operator"],
    retention: "180 days, or until the camera is removed",
    en: "So that you can see with which terminal a camera was added, we keep the client and its \
         version, the terminal's model and system version, its network operator and a keyed hash \
         of its hardware fingerprint. Without your consent cameras are added and nothing of this \
         is kept. If you withdraw your consent, no camera can be added until you give it again.",
    zh: "为便于您查看摄像机由哪台终端添加，我们会保存客户端及其版本、终端型号与系统版本、\
         网络运营商以及硬件特征码的密钥散列。未经您同意，仍可添加摄像机，但不保存上述信息；\
         如您撤回同意，在重新同意之前将无法添加摄像机。",
};

/// Bringing a device into a network.
pub const DEVICE_PROVISION: Purpose = Purpose {
    id: "device.provision",
    version: 1,
    optional: true,
    fields: &["ssid", "bssid", "signal", "network", "operator"],
    retention: "7 days; what is sealed to the camera: 10 minutes",
    en: "To bring a camera into your network and to help when that fails, we keep the network's \
         name and identifier, the signal strength, the access mode and the operator. The Wi-Fi \
         password goes from your terminal to the camera; we have no field for it.",
    zh: "为使摄像机接入您的网络并在失败时提供帮助，我们会保存网络名称与标识、信号强度、\
         接入方式和运营商。Wi-Fi 密码由您的终端直接传给摄像机，我们没有存放它的字段。",
};

/// Bringing a device into a network by Bluetooth.
pub const DEVICE_PROVISION_BLE: Purpose = Purpose {
    id: "device.provision.ble",
    version: 1,
    optional: true,
    fields: &["bt_mac"],
    retention: "7 days",
    en: "To find a camera by Bluetooth while it is added, we keep its Bluetooth address. If you \
         refuse, add the camera in another way.",
    zh: "为在添加时通过蓝牙找到摄像机，我们会保存其蓝牙地址。如您拒绝，可使用其他方式添加。",
};

/// Where a device stands.
pub const DEVICE_LOCATION: Purpose = Purpose {
    id: "device.location",
    version: 1,
    optional: true,
    fields: &["address", "coordinates"],
    retention: "until you delete it or remove the camera",
    en: "To show the weather where a camera stands, we keep the place that you enter for it. If \
         you refuse, only this is missing: adding and watching cameras need no place.",
    zh: "为显示摄像机所在地的天气，我们会保存您为其填写的位置。如您拒绝，仅缺少该功能，\
         添加和观看摄像机均不需要位置。",
};

/// What a device is made of.
pub const DEVICE_HARDWARE: Purpose = Purpose {
    id: "device.hardware",
    version: 1,
    optional: true,
    fields: &["type", "model", "firmware", "mac", "system", "settings"],
    retention: "until the camera is removed",
    en: "To control your cameras and keep them up to date, we keep what each camera tells about \
         its type, model, firmware, network address, system and settings. If you withdraw your \
         consent, cameras cannot be controlled from afar; your account and viewing stay.",
    zh: "为控制您的摄像机并保持其更新，我们会保存摄像机上报的类型、型号、固件、网络地址、\
         系统和设置。如您撤回同意，将无法远程控制摄像机，账号和观看不受影响。",
};
