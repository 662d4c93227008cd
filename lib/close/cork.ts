/** TCP_CORK (tcp(7)): data that does not fill a segment waits for at most 200 ms, or until the FIN leaves with it. */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import { transportFd } from '../node/handle'

/** Holds back what is written from now on, or sends it. Does nothing on a platform without the option. */
export function setCork(socket: net.Socket, on: boolean): void {
  const { IPPROTO_TCP, TCP_CORK } = native.constants
  const fd = transportFd(socket)
  if (fd < 0 || IPPROTO_TCP === undefined || TCP_CORK === undefined) return
  native.setInt(fd, IPPROTO_TCP, TCP_CORK, Number(on))
}
