"""Runs a program under the SystemCallFilter= of a unit: filtered.py UNIT PROGRAM [ARGUMENT ...]

Unlike under systemd, a call outside the list ends the process with SIGSYS, so that none goes unnoticed.
"""

import ctypes
import os
import subprocess
import sys

# From <seccomp.h> and <linux/prctl.h>.
SCMP_ACT_KILL_PROCESS = 0x80000000
SCMP_ACT_ALLOW = 0x7FFF0000
NR_SCMP_ERROR = -1
PR_SET_NO_NEW_PRIVS = 38


def calls(name):
    """The system calls of a group, those of the groups in it included, or the one call."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], check=True, capture_output=True, text=True
    )
    # The first line is the group's own name, and comments say what it is for.
    members = [line.split("#")[0].strip() for line in listed.stdout.splitlines()[1:]]
    return set().union(*(calls(member) for member in members if member))


def allowed(unit):
    """What is allowed after all lines, one after the other as systemd.exec(5) has it."""
    with open(unit, encoding="utf-8") as lines:
        filters = [line.strip().split("=", 1)[1] for line in lines if line.startswith("SystemCallFilter=")]
    assert filters and not filters[0].startswith("~"), "an allow list is expected"
    # Always permitted, as systemd says of it.
    result = calls("@default")
    for words in filters:
        of_line = set().union(*(calls(word) for word in words.lstrip("~").split()))
        result = result - of_line if words.startswith("~") else result | of_line
    return result


def main():
    unit, program = sys.argv[1], sys.argv[2:]
    names = allowed(unit)
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SCMP_ACT_KILL_PROCESS)))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # Calls of other machines, or newer than the library.
        if number == NR_SCMP_ERROR:
            continue
        seccomp.seccomp_rule_add(context, ctypes.c_uint32(SCMP_ACT_ALLOW), ctypes.c_int(number), ctypes.c_uint(0))
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if seccomp.seccomp_load(context) != 0:
        sys.exit("the filter cannot be loaded")
    os.execv(program[0], program)


main()
