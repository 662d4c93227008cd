/** The protocols of Application-Layer Protocol Negotiation (RFC 7301). */
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { custom, list } from '../spec'

/** Bytes of a name. */
const LONGEST_NAME = 255

const protocolName = custom<string>('the name of a protocol', (argument, value) => {
  if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
  const { length } = Buffer.from(value)
  if (length < 1 || length > LONGEST_NAME)
    throw new ArgumentValueError(argument, `must have 1 to ${String(LONGEST_NAME)} bytes`, value)
  return value
})

export const alpnProtocols = list(protocolName)

/** The protocols whose answers the client can read. */
const spoken = ['http/1.1', 'http/1.0']

/** The protocols that an https target is offered. */
export const offeredToHttps: readonly string[] = ['http/1.1']

/** Why nothing can be sent after the negotiation; undefined if it can. A target without ALPN speaks HTTP/1.1. */
export function protocolRefusal(alpnProtocol: unknown): string | undefined {
  if (typeof alpnProtocol !== 'string' || spoken.includes(alpnProtocol)) return undefined
  return `the target chose '${alpnProtocol}' of the protocols that it was offered, and this client speaks only HTTP/1.1`
}
