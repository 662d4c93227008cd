import type { SocketCounts } from '../../lib/ports'

/** A list of TCP sockets by their two ends, as text, from ss(8) or from countSockets(). */
export class SocketList {
  /** Sorted. */
  readonly sockets: readonly string[]

  private constructor(sockets: string[]) {
    this.sockets = sockets.toSorted()
  }

  /** @param text of `ss -Htan`: the last two columns are the ends */
  static ofSs(text: string): SocketList {
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    return new SocketList(
      lines
        .map((line) => line.trim().split(/\s+/).slice(-2).join(' '))
        // All addresses of both families, and no peer.
        .map((line) => line.replaceAll(/\*:(?=[\d*])/g, '[::]:').replace(/:\*$/, ':0')),
    )
  }

  /** @param census grouped by both addresses and both ports */
  static ofCensus({ groups }: SocketCounts): SocketList {
    return new SocketList(
      groups.flatMap(({ count, localAddress, localPort, remoteAddress, remotePort }) =>
        Array<string>(count).fill(
          `${inBrackets(localAddress)}:${String(localPort)} ${inBrackets(remoteAddress)}:${String(remotePort)}`,
        ),
      ),
    )
  }

  /** Returns the number of sockets that are in only one of the lists. */
  differences(other: SocketList): number {
    return without(this, other) + without(other, this)
  }

  /** Counts the sockets that this list lacks although both others have them, and those that only it has. */
  outside(one: SocketList, other: SocketList): number {
    const shared = new Set(other.sockets)
    const both = new SocketList(one.sockets.filter((socket) => shared.has(socket)))
    const either = new SocketList([...one.sockets, ...other.sockets])
    return without(both, this) + without(this, either)
  }
}

function without(list: SocketList, other: SocketList): number {
  const others = new Set(other.sockets)
  return list.sockets.filter((socket) => !others.has(socket)).length
}

function inBrackets(address = ''): string {
  return address.includes(':') ? `[${address}]` : address
}
