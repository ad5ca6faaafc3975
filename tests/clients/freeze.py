"""Stops all threads of a process but one, as if what runs on them had died in its place.

Usage: freeze.py PID NAME_OF_THE_THREAD_THAT_RUNS_ON
Prints "frozen" and the number of threads, and lets them run on when standard input ends. A thread
is only kept stopped while it waits in the kernel: one that is stopped at work might hold a lock
that the running thread needs. Needs the right to trace the process.
"""

import ctypes
import os
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
TRIES = 200
PAUSE_S = 0.01

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_ulong, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread}")


def read(pid, thread, name):
    with open(f"/proc/{pid}/task/{thread}/{name}", encoding="ascii") as file:
        return file.read().strip()


def stop(pid, thread):
    """Stops a thread in a moment in which it waits in the kernel."""
    ptrace(SEIZE, thread)
    for _ in range(TRIES):
        waits = read(pid, thread, "syscall") != "running"
        ptrace(INTERRUPT, thread)
        os.waitpid(thread, 0x40000000)  # __WALL
        if waits:
            return
        ptrace(DETACH, thread)
        time.sleep(PAUSE_S)
        ptrace(SEIZE, thread)
    sys.exit(f"thread {thread} never waits")


def main(pid, spared):
    stopped = set()
    while True:
        threads = {int(name) for name in os.listdir(f"/proc/{pid}/task")}
        left = {thread for thread in threads - stopped if read(pid, thread, "comm") != spared}
        if not left:
            break
        for thread in left:
            stop(pid, thread)
            stopped.add(thread)
    if len(threads) != len(stopped) + 1:
        sys.exit(f"not one thread is called {spared}")
    print("frozen", len(stopped), flush=True)
    sys.stdin.read()
    for thread in stopped:
        ptrace(DETACH, thread)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
