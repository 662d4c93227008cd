/** The handle of a dgram.Socket. Node 26 removed `_handle`; the state object behind it exists in all releases. */
import type * as dgram from 'node:dgram'

/** The state object of a dgram.Socket. */
interface DatagramState {
  readonly handle?: { readonly fd?: number } | null
}

/** Whether the target is a dgram.Socket, closed or not. */
export function isDatagram(target: object): target is dgram.Socket {
  return (
    typeof (target as Partial<dgram.Socket>).addMembership === 'function' &&
    typeof (target as Partial<dgram.Socket>).bind === 'function'
  )
}

/** Undefined once the socket is closed. Its descriptor is negative until the socket is bound. */
export function datagramHandleOf(socket: dgram.Socket): { readonly fd?: number } | undefined {
  const key = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  )
  if (key === undefined) return undefined
  const state = (socket as unknown as Record<symbol, DatagramState | undefined>)[key]
  return state?.handle ?? undefined
}
