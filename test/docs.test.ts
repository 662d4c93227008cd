/** Runs the examples of README.md and docs/migrating.md, and compares their results with the claims of the page. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import * as net from 'node:net'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import * as library from '../lib'
import { closeLater, connectedPair, destroyLater, listen as listening, loopback } from './sockets'

const ROOT = join(__dirname, '..')

// The options of these examples, and mode 'deliver', exist only on Linux.
const linux = process.platform === 'linux' ? it : it.skip

interface Example {
  /** The heading above the example. */
  readonly heading: string
  readonly code: string
}

/** The JavaScript blocks of a page that use this library. */
function examplesIn(page: string): Example[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const examples: Example[] = []
  for (const section of text.split(/^#+ /m).slice(1)) {
    const [heading = ''] = section.split('\n', 1)
    for (const [, code = ''] of section.matchAll(/^```js\n(.*?)^```$/gms))
      if (code.includes("from 'socket-tuner'")) examples.push({ heading, code })
  }
  return examples
}

interface Scene {
  readonly socket: net.Socket
  readonly server: net.Server
  readonly secondServer: net.Server
  readonly host: string
  readonly port: number
}

/** Makes a connection whose peer has sent a byte, two servers that do not listen, and one that does. */
async function scene(): Promise<Scene> {
  const { client, accepted } = await connectedPair()
  accepted.write('x')
  await once(client, 'data')
  const port = await listening(net.createServer((peer) => peer.resume()))
  const [server, secondServer] = [net.createServer(), net.createServer()]
  closeLater(() => server.close())
  closeLater(() => secondServer.close())
  return { socket: client, server, secondServer, host: loopback[4], port }
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port
}

/** Runs an example in the scene, and returns the constants that it declares. */
async function run(code: string, on: Scene): Promise<Record<string, unknown>> {
  const imports = /^import (\{[^}]*\}) from 'socket-tuner'$/m
  const body = code.replace(imports, 'const $1 = library')
  const names = [...body.matchAll(/^const (?:(\w+)|\{([^}]*)\}) = (?!library)/gm)].flatMap(
    ([, one, several = '']) =>
      one === undefined
        ? several.split(',').map((each) => each.replace(/^.*: /, '').trim())
        : [one],
  )
  const call = compileFunction(
    `return (async () => { ${body}\nreturn { ${names.join(', ')} } })()`,
    ['library', ...Object.keys(on)],
  ) as (...parts: unknown[]) => Promise<Record<string, unknown>>
  return call(library, ...(Object.values(on) as unknown[]))
}

const { getOption } = library

/** The expected outcome of each example, by its heading. */
const outcomes: Readonly<Record<string, (on: Scene, declared: Record<string, unknown>) => void>> = {
  'socket-tuner': ({ socket, server }) => {
    expect(socket.destroyed).toBe(true)
    expect(getOption(server, 'SO_REUSEPORT')).toBe(true)
    expect(getOption(server, 'TCP_KEEPIDLE')).toBe(60)
  },
  'From sockopt': ({ socket }) => {
    expect(getOption(socket, 'SO_SNDBUF')).toBe(400_000)
  },
  'From net-keepalive': ({ socket }) => {
    const names = ['TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT', 'TCP_USER_TIMEOUT'] as const
    expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
    expect(names.map((name) => getOption(socket, name))).toEqual([10, 5, 4, 30_000])
  },
  'From node-unix-socket': ({ server }) => {
    expect(server.listening).toBe(true)
    expect(getOption(server, 'SO_REUSEPORT')).toBe(true)
  },
  'From posix-node, koffi and node:ffi': ({ socket }) => {
    expect(getOption(socket, 'TCP_USER_TIMEOUT')).toBe(30_000)
    expect(getOption(socket, 'TCP_CONGESTION')).toBe('reno')
    expect(getOption(socket, 'SO_LINGER')).toEqual({ enabled: false, seconds: 0 })
  },
  'From resetAndDestroy()': ({ socket }, { report, mode, discardedBytes, inFlightBytes }) => {
    expect(socket.destroyed).toBe(true)
    if (report === undefined)
      expect({ mode, discardedBytes, inFlightBytes }).toEqual({
        mode: 'reset',
        discardedBytes: 0,
        inFlightBytes: 0,
      })
    else expect(report).toMatchObject({ mode: 'deliver', discardedBytes: 0, timeWait: 'avoided' })
  },
  'From setKeepAlive()': ({ socket }) => {
    const names = ['TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT'] as const
    expect(names.map((name) => getOption(socket, name))).toEqual([60, 10, 3])
  },
  'From setNoDelay()': ({ socket }, { other }) => {
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
    expect(getOption(other as net.Socket, 'TCP_NODELAY')).toBe(true)
  },
  'From listen({ reusePort: true })': ({ server, secondServer }) => {
    expect(portOf(secondServer)).toBe(portOf(server))
  },
}

describe.each(['README.md', 'docs/migrating.md'])('the examples of %s', (page) => {
  linux.each(examplesIn(page))('do what the section "$heading" says', async ({ heading, code }) => {
    const on = await scene()
    const declared = await run(code, on)
    for (const each of Object.values(declared)) {
      if (!(each instanceof net.Socket)) continue
      destroyLater(each)
      await once(each, 'connect')
    }
    outcomes[heading]?.(on, declared)
  })
})

describe('the sections with examples', () => {
  it('have an expected outcome each', () => {
    const headings = ['README.md', 'docs/migrating.md'].flatMap((page) =>
      examplesIn(page).map(({ heading }) => heading),
    )
    expect([...new Set(headings)].toSorted()).toEqual(Object.keys(outcomes).toSorted())
  })
})
