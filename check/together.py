"""Whatever a child process starts ends with it: its process group on POSIX, a job object on Windows."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

# https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_basic_limit_information: all of a job
# end when its last handle is closed, as when this process ends; and what crashes shows no box that waits.
_KILL_ON_CLOSE, _NO_CRASH_BOX = 0x2000, 0x400
_EXTENDED_LIMITS = 9
_MAY_SET_QUOTA, _MAY_TERMINATE = 0x100, 0x1
# A variable that tells what a child starts, wherever it goes, from all other processes.
MARK = "SAGEKIT_CHECK"
# One that hangs in a driver stays, killed or not.
_PASSES = 10


class Together:
    """A process with all that it starts.

    What leaves the group by itself (setsid, as a server of a compiler does) is known on Linux by what stands
    in its environment, and is out of reach on macOS; out of a job nothing leaves.

    Args:
        process: Started as the leader of a session of its own on POSIX, and waiting for its first order, so
            that it has started nothing yet.
        mark: The value of MARK in its environment, and in no other's.
    """

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process, self._mark = process, mark
        self._job = _Job.around(process.pid, _kernel32()) if os.name == "nt" else None
        self._is_over = False

    def kill(self) -> None:
        """Ends all of it, once: its number may be another's later."""
        if self._is_over:
            return
        self._is_over = True
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            end_marked(self._mark)
        if self._job is not None:
            self._job.end()


def end_marked(mark: str) -> None:
    """Ends every process with that value of MARK, but for this one."""
    if not mark:
        return
    for _ in range(_PASSES):
        # One that is being killed may have started another meanwhile.
        if not sum(_end_if_marked(pid, f"{MARK}={mark}".encode()) for pid in _own_processes()):
            return
        time.sleep(0.02)


def _own_processes() -> list[int]:
    """The numbers of this user's processes but for this one; none where the system has no /proc."""
    user, found = getattr(os, "getuid", int)(), []
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and entry.stat().st_uid == user:
                    found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def _end_if_marked(pid: int, mark: bytes) -> bool:
    """Ends a process that has the mark in its environment; whether it had, and was still running."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            # Of one that has ended and waits for its parent, it is empty.
            if mark not in stream.read():
                return False
        if sys.platform != "win32":
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


class _Job:
    """A job object with one process and what it starts."""

    def __init__(self, kernel32: Any, handle: int) -> None:
        self._kernel32, self._handle = kernel32, handle

    @classmethod
    def around(cls, pid: int, kernel32: Any) -> "_Job | None":
        """None where the system refuses: then the process alone is ended."""
        if kernel32 is None or not (handle := kernel32.CreateJobObjectW(None, None)):
            return None
        import ctypes

        job = cls(kernel32, handle)
        limits = extended_limits()
        limits.basic.flags = _KILL_ON_CLOSE | _NO_CRASH_BOX
        size = ctypes.sizeof(limits)
        is_set = kernel32.SetInformationJobObject(handle, _EXTENDED_LIMITS, ctypes.byref(limits), size)
        process = kernel32.OpenProcess(_MAY_SET_QUOTA | _MAY_TERMINATE, False, pid) if is_set else None
        if not process:
            kernel32.CloseHandle(handle)
            return None
        is_in = kernel32.AssignProcessToJobObject(handle, process)
        kernel32.CloseHandle(process)
        if not is_in:
            kernel32.CloseHandle(handle)
            return None
        return job

    def end(self) -> None:
        self._kernel32.TerminateJobObject(self._handle, 1)
        self._kernel32.CloseHandle(self._handle)


def extended_limits() -> Any:
    """A JOBOBJECT_EXTENDED_LIMIT_INFORMATION of zeros; 144 bytes where pointers have 8."""
    import ctypes

    class Basic(ctypes.Structure):
        _fields_ = (
            ("process_time", ctypes.c_int64),
            ("job_time", ctypes.c_int64),
            ("flags", ctypes.c_uint32),
            ("smallest_working_set", ctypes.c_size_t),
            ("largest_working_set", ctypes.c_size_t),
            ("active_processes", ctypes.c_uint32),
            ("affinity", ctypes.c_size_t),
            ("priority_class", ctypes.c_uint32),
            ("scheduling_class", ctypes.c_uint32),
        )

    class Extended(ctypes.Structure):
        _fields_ = (
            ("basic", Basic),
            ("io_counters", ctypes.c_uint64 * 6),
            ("process_memory", ctypes.c_size_t),
            ("job_memory", ctypes.c_size_t),
            ("peak_process_memory", ctypes.c_size_t),
            ("peak_job_memory", ctypes.c_size_t),
        )

    return Extended()


def _kernel32() -> Any:
    """Windows' own library with the types of what is called; None in a Python without ctypes."""
    if sys.platform != "win32":
        return None
    try:
        import ctypes
    except ImportError:  # A Python can be built without it.
        return None
    library = ctypes.WinDLL("kernel32")
    handle, number, truth = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
    for name, result, arguments in (
        ("CreateJobObjectW", handle, (handle, ctypes.c_wchar_p)),
        ("SetInformationJobObject", truth, (handle, truth, handle, number)),
        ("OpenProcess", handle, (number, truth, number)),
        ("AssignProcessToJobObject", truth, (handle, handle)),
        ("TerminateJobObject", truth, (handle, number)),
        ("CloseHandle", truth, (handle,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
