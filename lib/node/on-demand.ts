/**
 * Modules of Node that most programs never use. They are loaded on first use, because loading them takes longer than
 * loading this library should.
 */
import type { Cluster } from 'node:cluster'
import type * as crypto from 'node:crypto'
import type * as dns from 'node:dns'
import type * as tls from 'node:tls'

export const onDemand = {
  get cluster(): Cluster {
    // Declared as the default export of an ES module.
    return process.getBuiltinModule('node:cluster') as unknown as Cluster
  },
  get crypto(): typeof crypto {
    return process.getBuiltinModule('node:crypto')
  },
  get dns(): typeof dns {
    return process.getBuiltinModule('node:dns')
  },
  get tls(): typeof tls {
    return process.getBuiltinModule('node:tls')
  },
}
