/** Contract tests: the modules of Node that lib/node/on-demand.ts loads, on this release of Node. */
import { execFileSync } from 'node:child_process'
import cluster from 'node:cluster'
import crypto from 'node:crypto'
import dns from 'node:dns'
import { builtinModules } from 'node:module'
import * as path from 'node:path'
import tls from 'node:tls'
import { onDemand } from '../../lib/node/on-demand'

const entry = path.join(__dirname, '..', '..', 'dist', 'index.js')

/** Returns the public modules of Node that loading the root entry loads. */
function loadedByRootEntry(): string[] {
  const program = `
    const before = new Set(process.moduleLoadList)
    require(${JSON.stringify(entry)})
    console.log(JSON.stringify(process.moduleLoadList.filter((each) => !before.has(each))))`
  const list = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })
  return (JSON.parse(list) as string[])
    .map((each) => each.replace(/^NativeModule /, ''))
    .filter((name) => builtinModules.includes(name) && !name.startsWith('_'))
}

/** The modules that the root entry may load: node:net, its dependencies, and small ones. */
const ALLOWED = [
  ...['diagnostics_channel', 'net', 'os', 'stream', 'stream/promises', 'string_decoder'],
  ...['timers/promises', 'util/types'],
]

describe('onDemand', () => {
  it('returns the modules themselves, so that functions replaced by programs are used', () => {
    expect(onDemand.cluster).toBe(cluster)
    expect(onDemand.crypto).toBe(crypto)
    expect(onDemand.dns).toBe(dns)
    expect(onDemand.tls).toBe(tls)
  })

  it('keeps the root entry from loading more than node:net and small modules', () => {
    const loaded = loadedByRootEntry()
    expect(loaded).toContain('net')
    expect(loaded.filter((name) => !ALLOWED.includes(name))).toEqual([])
  })
})
