import { networkInterfaces } from 'node:os'

/** Addresses for documentation (RFC 5737). Even they may be those of a virtual machine. */
const candidates = ['192.0.2.1', '198.51.100.1', '203.0.113.1']

const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])

/** Two addresses that are not of this host. */
export const [FOREIGN = '', OTHER_FOREIGN = ''] = candidates.filter((candidate) =>
  own.every(({ address }) => address !== candidate),
)
