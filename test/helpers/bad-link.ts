/** Links within one namespace that lose, reorder and duplicate packets: see programs/bad-link.c. */
import { useCProgram } from './c-program'
import type { Namespace } from './namespace'
import type { Path } from './schedules'

export interface BadLink {
  /** The number of packets affected, of 1000. */
  loss: number
  late: number
  double: number
  /** The longest delay of a late packet, ms. */
  lateMs: number
}

/** Shorter than the usual minimum of 200 ms, because a run would mostly wait for retransmissions otherwise. */
const LEAST_TIMEOUT = '20ms'

/** Creates links in the namespace. Each has an IPv4 and an IPv6 path. */
export function useBadLinks(
  namespace: () => Namespace,
  links: readonly BadLink[],
  seed: number,
): readonly Path[] {
  const program = useCProgram('bad-link')
  beforeAll(async () => {
    for (const [index, link] of links.entries()) {
      const device = `bad${String(index)}`
      const numbers = [seed + index, link.loss, link.late, link.double, link.lateMs].map(String)
      const command = namespace().spawn(program().path, device, ...numbers)
      await command.wrote(/ready/)
      await setUpDevice(namespace(), device, 2 * index)
    }
  })
  return links.flatMap(({ loss }, index) => {
    const [here, there] = [String(2 * index), String(2 * index + 1)]
    const of = { isBad: true }
    const name = `${String(loss / 10)} % loss`
    return [
      { ...of, name: `${name}, IPv4`, host: `10.9.${there}.2`, listen: `10.9.${here}.2` },
      { ...of, name: `${name}, IPv6`, host: `fd09:0:0:${there}::2`, listen: `fd09:0:0:${here}::2` },
    ]
  })
}

/** Gives a device that returns packets the addresses of two networks. */
export async function setUpDevice(
  namespace: Namespace,
  device: string,
  network: number,
): Promise<void> {
  const ip = (...words: string[]): Promise<string> => namespace.run('ip', ...words)
  const v4 = (net: number): string => `10.9.${String(net)}`
  const v6 = (net: number): string => `fd09:0:0:${String(net)}::`
  await ip('link', 'set', device, 'up')
  for (const host of ['1', '2']) {
    await ip('address', 'add', `${v4(network)}.${host}/32`, 'dev', device)
    await ip('address', 'add', `${v6(network)}${host}/128`, 'dev', device, 'nodad')
  }
  const route = ['dev', device, 'rto_min', LEAST_TIMEOUT, 'src']
  await ip('route', 'add', `${v4(network + 1)}.0/24`, ...route, `${v4(network)}.1`)
  await ip('-6', 'route', 'add', `${v6(network + 1)}/64`, ...route, `${v6(network)}1`)
}
