"""Runs a command in a terminal of its own, 200 columns wide; SIGUSR1 makes it 30."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def resize(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


child, master = pty.fork()
if child == 0:
    # The terminal gets its size before the program asks for it.
    resize(0, 200)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGUSR1, lambda *_: resize(master, 30))
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
sys.exit(os.waitstatus_to_exitcode(status))
