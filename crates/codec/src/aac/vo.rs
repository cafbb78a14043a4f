//! The C interface of vo-aacenc (`voAAC.h`, `voAudio.h`, `voMem.h`, Apache-2.0), as far as the encoder needs it.
//!
//! `VO_U32` and `VO_S32` are `unsigned long` and `signed long` in these headers, whatever their names say.

use std::ffi::{c_int, c_long, c_longlong, c_short, c_uchar, c_uint, c_ulong, c_void};

/// `VO_AUDIO_CodingAAC`: its place in the enumeration.
pub(super) const CODING_AAC: c_uint = 8;
/// `VO_PID_AAC_ENCPARAM`.
pub(super) const PARAMETERS: c_long = 0x4221_1040;
/// `VO_ERR_NONE`.
pub(super) const OK: c_ulong = 0;

/// `AACENC_PARAM`.
#[repr(C)]
pub(super) struct Parameters {
    pub(super) sample_rate: c_int,
    pub(super) bit_rate: c_int,
    pub(super) channels: c_short,
    pub(super) adts_used: c_short,
}

/// `VO_CODECBUFFER`: a buffer of ours; the length is in bytes.
#[repr(C)]
pub(super) struct Buffer {
    pub(super) buffer: *mut c_uchar,
    pub(super) length: c_ulong,
    pub(super) time: c_longlong,
}

/// `VO_AUDIO_OUTPUTINFO`.
#[repr(C)]
#[derive(Default)]
pub(super) struct OutputInfo {
    pub(super) sample_rate: c_long,
    pub(super) channels: c_long,
    pub(super) sample_bits: c_long,
    pub(super) input_used: c_ulong,
    pub(super) reserved: c_ulong,
}

/// `VO_MEM_INFO`.
#[repr(C)]
pub(super) struct MemoryInfo {
    size: c_long,
    flag: c_long,
    virtual_buffer: *mut c_void,
    physical_buffer: *mut c_void,
}

/// `VO_MEM_OPERATOR`: where the encoder takes its memory from. It keeps the pointer, so that this must be static.
#[repr(C)]
pub(super) struct MemoryOperator {
    alloc: unsafe extern "C" fn(c_long, *mut MemoryInfo) -> c_ulong,
    free: unsafe extern "C" fn(c_long, *mut c_void) -> c_ulong,
    set: unsafe extern "C" fn(c_long, *mut c_void, c_uchar, c_ulong) -> c_ulong,
    copy: unsafe extern "C" fn(c_long, *mut c_void, *mut c_void, c_ulong) -> c_ulong,
    check: unsafe extern "C" fn(c_long, *mut c_void, c_ulong) -> c_ulong,
    compare: unsafe extern "C" fn(c_long, *mut c_void, *mut c_void, c_ulong) -> c_long,
    shift: unsafe extern "C" fn(c_long, *mut c_void, *mut c_void, c_ulong) -> c_ulong,
}

/// `VO_CODEC_INIT_USERDATA`; flag 0 is `VO_IMF_USERMEMOPERATOR`.
#[repr(C)]
pub(super) struct InitData {
    pub(super) flag: c_uint,
    pub(super) data: *mut c_void,
    pub(super) reserved: [c_ulong; 2],
}

/// `VO_AUDIO_CODECAPI`, with the entries optional: the library fills them in.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Api {
    pub(super) init: Option<unsafe extern "C" fn(*mut *mut c_void, c_uint, *mut InitData) -> c_ulong>,
    pub(super) set_input: Option<unsafe extern "C" fn(*mut c_void, *mut Buffer) -> c_ulong>,
    pub(super) get_output: Option<unsafe extern "C" fn(*mut c_void, *mut Buffer, *mut OutputInfo) -> c_ulong>,
    pub(super) set_parameter: Option<unsafe extern "C" fn(*mut c_void, c_long, *mut c_void) -> c_ulong>,
    pub(super) get_parameter: Option<unsafe extern "C" fn(*mut c_void, c_long, *mut c_void) -> c_ulong>,
    pub(super) uninit: Option<unsafe extern "C" fn(*mut c_void) -> c_ulong>,
}

/// The C library's `malloc` and `free`, by the functions that come with the encoder.
pub(super) static MEMORY: MemoryOperator = MemoryOperator {
    alloc: cmnMemAlloc,
    free: cmnMemFree,
    set: cmnMemSet,
    copy: cmnMemCopy,
    check: cmnMemCheck,
    compare: cmnMemCompare,
    shift: cmnMemMove,
};

unsafe extern "C" {
    pub(super) fn voGetAACEncAPI(api: *mut Api) -> c_long;
    fn cmnMemAlloc(id: c_long, info: *mut MemoryInfo) -> c_ulong;
    fn cmnMemFree(id: c_long, buffer: *mut c_void) -> c_ulong;
    fn cmnMemSet(id: c_long, buffer: *mut c_void, value: c_uchar, size: c_ulong) -> c_ulong;
    fn cmnMemCopy(id: c_long, to: *mut c_void, from: *mut c_void, size: c_ulong) -> c_ulong;
    fn cmnMemCheck(id: c_long, buffer: *mut c_void, size: c_ulong) -> c_ulong;
    fn cmnMemCompare(id: c_long, one: *mut c_void, other: *mut c_void, size: c_ulong) -> c_long;
    fn cmnMemMove(id: c_long, to: *mut c_void, from: *mut c_void, size: c_ulong) -> c_ulong;
}
