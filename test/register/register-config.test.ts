import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { readConfiguration } from '../../lib/register/config'
import { closeLater, failureOf } from '../sockets'
import { Registered, run } from './registered'

function read(text: string) {
  return readConfiguration({ name: 'SOCKET_TUNER', text })
}

describe('the configuration of register', () => {
  it('accepts all members of its sections', () => {
    const { clients, servers, absent } = read(
      JSON.stringify({
        clients: {
          match: { addresses: ['10.0.0.0/8', '::1', 'fc00::/7'], ports: [80, 443] },
          settings: { TCP_NODELAY: true, SO_MAX_PACING_RATE: 1_000_000, IP_TTL: 61 },
          source: ['127.0.0.1', '127.0.0.2', '::1'],
          portRange: 'kernel',
          close: { mode: 'deliver', requireTimestamps: false },
        },
        servers: {
          backlog: 100,
          close: { mode: 'lingering', deadlineMs: 1_000 },
          maxConnectionAgeMs: 300_000,
        },
      }),
    )
    expect(clients).toMatchObject({
      settings: { TCP_NODELAY: true, SO_MAX_PACING_RATE: 1_000_000n, IP_TTL: 61 },
      sources: { 4: { addresses: ['127.0.0.1', '127.0.0.2'] }, 6: '::1' },
      portRange: 'kernel',
      policy: { mode: { name: 'deliver' }, requireTimestamps: false, closeNotify: true },
    })
    expect(servers).toMatchObject({
      settings: {},
      backlog: 100,
      policy: { mode: { name: 'lingering' }, deadlineMs: 1_000 },
      limits: { maxConnectionAgeMs: 300_000, connectionAgeJitterPercent: 10 },
    })
    expect(absent).toEqual([])
  })

  it('matches destinations by address and port', () => {
    const match = { addresses: ['10.0.0.0/8', '::1'], ports: [80] }
    const { clients } = read(JSON.stringify({ clients: { match } }))
    const has = (address: string, port: number): boolean | undefined =>
      clients?.match.has(address, port, address.includes(':') ? 6 : 4)
    expect([has('10.1.2.3', 80), has('::1', 80)]).toEqual([true, true])
    expect([has('10.1.2.3', 81), has('11.1.2.3', 80), has('::2', 80)]).toEqual([
      false,
      false,
      false,
    ])
  })

  it('matches everything if it has no `match`', () => {
    const { clients, servers } = read('{ "clients": {} }')
    expect(clients?.match.has('192.0.2.1', 1, 4)).toBe(true)
    expect(servers).toBeUndefined()
  })
})

describe('a configuration that is not JSON', () => {
  it.each(['', '{', '{ "clients": {} "servers": {} }', "{ 'clients': {} }", '{} {}'])(
    'is refused with the message of JSON.parse(): %j',
    (text) => {
      const { message } = failureOf(() => JSON.parse(text) as unknown)
      expect(() => read(text)).toThrow(`SOCKET_TUNER: ${message}`)
    },
  )
})

describe('a configuration with an invalid value', () => {
  it.each([
    ['1', 'The "configuration" argument must be of type object. Received type number (1)'],
    ['{ "client": {} }', "'client' is not an option: did you mean 'clients'?"],
    ['{ "clients": [] }', 'The "clients" argument must be of type object'],
    [
      '{ "clients": { "clsoe": "fin" } }',
      "'clients.clsoe' is not an option: did you mean 'close'?",
    ],
    [
      '{ "clients": { "settings": { "TCP_NODELAY": 1 } } }',
      'clients.settings.TCP_NODELAY: The "TCP_NODELAY" argument must be of type boolean. Received type number (1)',
    ],
    [
      '{ "servers": { "settings": { "TCP_NODELAI": true } } }',
      "servers.settings.TCP_NODELAI: No option is called 'TCP_NODELAI': did you mean TCP_NODELAY?",
    ],
    [
      '{ "clients": { "settings": { "IP_TTL": 300 } } }',
      'clients.settings.IP_TTL: The value of "IP_TTL" is out of range',
    ],
    [
      '{ "clients": { "settings": { "SO_LINGER": { "enabled": true, "seconds": 5 } } } }',
      'clients.settings.SO_LINGER: ',
    ],
    ['{ "clients": { "settings": { "TCP_INFO": 1 } } }', 'clients.settings.TCP_INFO: '],
    ['{ "servers": { "close": "nicely" } }', "The property 'servers.close' must be one of"],
    [
      '{ "servers": { "close": { "deadlineMs": 5 } } }',
      "The property 'servers.close.mode' must be one of",
    ],
    [
      '{ "servers": { "close": { "mode": "fin", "deadlineMs": 0 } } }',
      'The value of "servers.close.deadlineMs" is out of range',
    ],
    ['{ "servers": { "maxRequests": 0 } }', 'The value of "servers.maxRequests"'],
    ['{ "servers": { "backlog": -1 } }', 'The value of "servers.backlog"'],
    ['{ "servers": { "backlog": "5" } }', 'The "servers.backlog" property'],
    ['{ "servers": { "source": "::1" } }', "'servers.source' is not an option: "],
    [
      '{ "clients": { "source": "nowhere" } }',
      "The property 'clients.source' must be an IP address",
    ],
    [
      '{ "clients": { "sources": ["::1"] } }',
      "'clients.sources' is not an option: did you mean 's",
    ],
    ['{ "clients": { "source": [] } }', "The property 'clients.source' must have at least one"],
    ['{ "clients": { "source": 5 } }', 'The "clients.source" property must be an IP address, or'],
    [
      '{ "clients": { "source": ["::1", "127.0.0.1", "::1"] } }',
      "The property 'clients.source[2]' must not be the same address as clients.source[0]",
    ],
    ['{ "clients": { "source": [5] } }', 'The "clients.source[0]" property must be of type string'],
    [
      '{ "clients": { "portRange": { "min": 5, "max": 4 } } }',
      'The value of "clients.portRange.min" is out of range',
    ],
    [
      '{ "clients": { "settings": { "IP_LOCAL_PORT_RANGE": { "min": 40000, "max": 41000 } }, "portRange": { "min": 40000, "max": 41000 } } }',
      "The property 'clients.portRange' cannot be given together with",
    ],
    [
      '{ "clients": { "match": { "hosts": [] } } }',
      "'clients.match.hosts' is not an option: did you mean 'ports'?",
    ],
    [
      '{ "clients": { "match": { "addresses": ["example.com"] } } }',
      "The property 'clients.match.addresses[0]' must be an IP address",
    ],
    [
      '{ "clients": { "match": { "addresses": ["10.0.0.0/33"] } } }',
      "The property 'clients.match.addresses[0]' must be an IP address",
    ],
    [
      '{ "clients": { "match": { "ports": [80, 65536] } } }',
      'The value of "clients.match.ports[1]" is out of range',
    ],
  ])('is refused with the path of the value: %j', (text, message) => {
    const error = failureOf(() => read(text))
    expect(error.message.slice(0, message.length + 14)).toBe(`SOCKET_TUNER: ${message}`)
  })
})

describe('a process whose configuration has an error', () => {
  const PROGRAM = 'register-quiet-program.js'

  function folder(files: Record<string, string> = {}): string {
    const made = mkdtempSync(path.join(tmpdir(), 'socket-tuner-register-'))
    closeLater(() => {
      rmSync(made, { recursive: true })
    })
    chmodSync(made, 0o755)
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(made, name), text)
    return made
  }

  it.each(['--require', '--import'] as const)(
    'exits with code 1 before the program begins, and names the path of the value (%s)',
    async (how) => {
      const configuration = '{\n  "clients": { "settings": { "TCP_NODELAY": "yes" } }\n}'
      expect(await run(PROGRAM, [], { how, configuration })).toEqual({
        status: 1,
        stdout: '',
        stderr:
          'socket-tuner/register: SOCKET_TUNER: clients.settings.TCP_NODELAY: ' +
          `The "TCP_NODELAY" argument must be of type boolean. Received type string ('yes')\n`,
      })
    },
  )

  it('exits for an error in socket-tuner.json of the working directory', async () => {
    const cwd = folder({ 'socket-tuner.json': '{ "clients": }' })
    const file = path.join(cwd, 'socket-tuner.json')
    const ended = await run(PROGRAM, [], { cwd })
    expect(ended).toMatchObject({ status: 1, stdout: '' })
    expect(ended.stderr).toContain(`socket-tuner/register: ${file}: Unexpected token`)
  })

  it('exits for an error in the file that SOCKET_TUNER names, and if there is no such file', async () => {
    const cwd = folder({ 'my.json': '\uFEFF{ "clients": {\n"close": 1 } }' })
    const file = path.join(cwd, 'my.json')
    const wrong = await run(PROGRAM, [], { cwd, configuration: '@my.json' })
    expect(wrong).toMatchObject({ status: 1, stdout: '' })
    expect(wrong.stderr).toContain(`socket-tuner/register: ${file}: The property 'clients.close' `)
    const missing = await run(PROGRAM, [], { cwd, configuration: '@none.json' })
    expect(missing).toMatchObject({ status: 1, stdout: '' })
    expect(missing.stderr).toContain('socket-tuner/register: SOCKET_TUNER: ENOENT')
  })

  it('does not read socket-tuner.json if SOCKET_TUNER is set', async () => {
    const cwd = folder({ 'socket-tuner.json': 'none' })
    expect(await run(PROGRAM, [], { cwd, configuration: '' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(await run(PROGRAM, [], { cwd })).toMatchObject({ status: 1 })
  })

  it('passes its initial configuration to its worker threads', async () => {
    const cwd = folder({ 'socket-tuner.json': '{ "servers": { "close": "deliver" } }' })
    const program = new Registered('register-server-program.js', ['thread'], { cwd, debug: true })
    const port = await program.port()
    const { status, stderr } = await program.stop()
    expect(status).toBe(0)
    expect(stderr).toMatch(
      new RegExp(
        `^socket-tuner\\[\\d+/1\\]: server \\[::\\]:${String(port)}: no options; closes: deliver$`,
        'm',
      ),
    )
  })
})
