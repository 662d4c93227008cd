/** Chooses the kind of wire for a run. */
import { isIP, type TcpNetConnectOpts } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Connector } from '../connect/connector'
import { offeredToHttps } from './alpn'
import type { CheckedStress } from './options'
import { PolledWires } from './polled-wires'
import type { StressTargetInfo } from './result'
import { SocketWires } from './socket-wires'
import type { Wires } from './wire'

/** @param timed called with the duration of each connect(2), ms */
export function openWires(
  options: CheckedStress,
  { address, port, protocol }: StressTargetInfo,
  connector: Connector,
  timed: (connectMs: number) => void,
): Wires {
  const isTls = protocol === 'https' || protocol === 'tls'
  if (!isTls && options.portWaitMs === 0) {
    const to = { family: isIP(address) === 6 ? 6 : 4, address, port } as const
    const polled = PolledWires.openTo(connector, to, timed)
    if (polled !== undefined) return polled
  }
  const endpoint: TcpNetConnectOpts = {
    host: address,
    port,
    autoSelectFamily: false,
    // Node would set it after the settings.
    noDelay: options.settings.TCP_NODELAY === undefined,
  }
  return new SocketWires(connector, endpoint, isTls ? tlsOptions(options) : undefined, timed)
}

function tlsOptions({
  ca,
  servername,
  rejectUnauthorized,
  target,
  alpnProtocols = target.protocol === 'https' ? offeredToHttps : [],
}: CheckedStress): ConnectionOptions {
  const name = servername ?? (isIP(target.host) === 0 ? target.host : undefined)
  return {
    rejectUnauthorized,
    ...(alpnProtocols.length === 0 ? {} : { ALPNProtocols: [...alpnProtocols] }),
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : Buffer.from(ca) }),
  }
}
