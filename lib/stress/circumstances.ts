/** Derives the common circumstances of a run's connections from its options. */
import { protocolRefusal } from './alpn'
import { conversationOf } from './answer'
import type { Circumstances } from './connection'
import type { CheckedStress } from './options'

/** The part that does not depend on who connects. */
export function circumstancesOf(
  options: CheckedStress,
): Omit<Circumstances, 'wires' | 'recorder' | 'sample'> {
  const { target, requestsPerConnection, close, timeoutMs } = options
  return {
    protocolRefusal: target.protocol === 'https' ? protocolRefusal : undefined,
    conversation: conversationOf(options),
    requestsPerConnection:
      requestsPerConnection === 'keep-alive' ? Infinity : requestsPerConnection,
    closedByTarget: close === 'server',
    timeoutMs,
  }
}
