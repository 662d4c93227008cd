"""Runs a command in a terminal of its own: terminal.py COLUMNSxROWS COLUMNSxROWS COMMAND...

SIGUSR1 gives the terminal the second size. SIGTERM and SIGINT go to the command.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def resize(fd, size):
    columns, rows = map(int, size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


first, second, *command = sys.argv[1:]
child, master = pty.fork()
if child == 0:
    # Sets the size of the terminal before the program reads it.
    resize(0, first)
    os.execvp(command[0], command)
signal.signal(signal.SIGUSR1, lambda *_: resize(master, second))
for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, lambda number, _: os.kill(child, number))
inputs = [master, 0]
while True:
    ready, _, _ = select.select(inputs, [], [])
    if 0 in ready:
        keys = os.read(0, 1024)
        if keys:
            os.write(master, keys)
        else:
            inputs.remove(0)
    if master in ready:
        try:
            text = os.read(master, 65536)
        except OSError:
            break
        if not text:
            break
        os.write(1, text)
_, status = os.waitpid(child, 0)
code = os.waitstatus_to_exitcode(status)
# As a shell reports a command that a signal ended.
sys.exit(code if code >= 0 else 128 - code)
