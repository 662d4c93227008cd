import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { readConfiguration } from '../../lib/adapters/register/config'
import { Json } from '../../lib/adapters/register/json'
import { closeLater, failureOf } from '../sockets'
import { Registered, run } from './registered'

function read(text: string) {
  return readConfiguration({ name: 'SOCKET_TUNER', text })
}

describe('the configuration of register', () => {
  it('takes what the sections have', () => {
    const { clients, servers, absent } = read(
      JSON.stringify({
        clients: {
          match: { addresses: ['10.0.0.0/8', '::1', 'fc00::/7'], ports: [80, 443] },
          settings: { TCP_NODELAY: true, SO_MAX_PACING_RATE: 1_000_000, IP_TTL: 61 },
          sources: ['127.0.0.1', '127.0.0.2', '::1'],
          portRange: 'kernel',
          closeMode: 'deliver',
          requireTimestamps: false,
        },
        servers: { backlog: 100, closeMode: 'lingering', timeoutMs: 1_000 },
      }),
    )
    expect(clients).toMatchObject({
      settings: { TCP_NODELAY: true, SO_MAX_PACING_RATE: 1_000_000n, IP_TTL: 61 },
      sources: ['127.0.0.1', '127.0.0.2', '::1'],
      portRange: 'kernel',
      policy: { mode: 'deliver', requireTimestamps: false, closeNotify: true },
    })
    expect(servers).toMatchObject({
      settings: {},
      backlog: 100,
      policy: { mode: 'lingering', timeoutMs: 1_000 },
    })
    expect(absent).toEqual([])
  })

  it('matches by address and port', () => {
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

  it('matches all without match', () => {
    const { clients, servers } = read('{ "clients": {} }')
    expect(clients?.match.has('192.0.2.1', 1, 4)).toBe(true)
    expect(servers).toBeUndefined()
  })
})

describe('a text that is not JSON', () => {
  it.each([
    ['', '1:1: the text ends too early: a value was expected here'],
    ['{', '1:2: the text ends too early: a name in double quotes was expected here'],
    ['{\n  "clients": {},\n}', '3:1: a name in double quotes was expected here'],
    ['{ "clients": {} "servers": {} }', "1:17: ',' or '}' was expected here"],
    ['{ "clients" {} }', "1:13: ':' was expected here"],
    ['{ "clients": { "sources": [1, 2 } }', "1:33: ',' or ']' was expected here"],
    ["{ 'clients': {} }", '1:3: a name in double quotes was expected here'],
    ['{ "clients": yes }', '1:14: a value was expected here'],
    ['{ "clients": 01 }', '1:14: a value was expected here'],
    ['{ "cli\nents": 1 }', '1:3: this string does not end, or has in it what must be escaped'],
    ['{} {}', '1:4: the end of the text was expected here'],
    ['{ "clients": {}, "clients": {} }', "1:18: 'clients' stands here a second time"],
    ['['.repeat(100), '1:34: this is nested deeper than 32 levels'],
  ])('is refused with its position: %j', (text, message) => {
    expect(() => read(text)).toThrow(new Error(`SOCKET_TUNER:${message}`))
  })
})

describe('a text that is JSON', () => {
  it.each([
    ['{"a\\u0041\\n":[1.5e3,-0,true,null,"\\\\"]}'],
    ['  { "clients" :\t[ ] , "b" : { } }\r\n'],
    ['{"__proto__":{"x":1}}'],
  ])('is read: %j', (text) => {
    expect(new Json(text).value).toEqual(JSON.parse(text))
  })
})

describe('a value that is wrong', () => {
  it.each([
    ['1', '1:1', 'The "configuration" argument must be of type object. Received type number (1)'],
    ['{ "client": {} }', '1:3', 'client: is not one of: clients, servers'],
    ['{ "clients": [] }', '1:14', 'clients: The "clients" argument must be of type object'],
    ['{\n "clients": { "closeMod": "fin" }\n}', '2:15', 'clients.closeMod: is not one of: match, '],
    [
      '{ "clients": {\n    "settings": {\n      "TCP_NODELAY": 1 } } }',
      '3:22',
      'clients.settings.TCP_NODELAY: The "TCP_NODELAY" argument must be of type boolean. Received type number (1)',
    ],
    [
      '{ "servers": { "settings": { "TCP_NODELAI": true } } }',
      '1:30',
      "servers.settings.TCP_NODELAI: No option is called 'TCP_NODELAI'",
    ],
    [
      '{ "clients": { "settings": { "IP_TTL": 300 } } }',
      '1:40',
      'clients.settings.IP_TTL: The value of "IP_TTL" is out of range',
    ],
    [
      '{ "clients": { "settings": { "SO_LINGER": { "enabled": true, "seconds": 5 } } } }',
      '1:43',
      'clients.settings.SO_LINGER: ',
    ],
    ['{ "clients": { "settings": { "TCP_INFO": 1 } } }', '1:42', 'clients.settings.TCP_INFO: '],
    [
      '{ "servers": { "closeMode": "nicely" } }',
      '1:29',
      "servers.closeMode: The argument 'closeMode' must be one of",
    ],
    ['{ "servers": { "timeoutMs": 5 } }', '1:16', 'servers.timeoutMs: goes with closeMode only'],
    [
      '{ "servers": { "closeMode": "fin", "timeoutMs": 0 } }',
      '1:49',
      'servers.timeoutMs: The value of "options.timeoutMs" is out of range',
    ],
    ['{ "servers": { "backlog": -1 } }', '1:27', 'servers.backlog: The value of "backlog"'],
    ['{ "servers": { "backlog": "5" } }', '1:27', 'servers.backlog: The "backlog" argument'],
    ['{ "servers": { "source": "::1" } }', '1:16', 'servers.source: is not one of: '],
    [
      '{ "clients": { "source": "nowhere" } }',
      '1:26',
      "clients.source: The argument 'source' must be an IP address",
    ],
    [
      '{ "clients": { "source": "::1", "sources": ["::1"] } }',
      '1:33',
      'clients.sources: cannot be given together with source',
    ],
    [
      '{ "clients": { "sources": [] } }',
      '1:27',
      "clients.sources: The argument 'sources' must not be empty",
    ],
    [
      '{ "clients": { "sources": "::1" } }',
      '1:27',
      'clients.sources: The "sources" argument must be an array',
    ],
    [
      '{ "clients": { "sources": ["::1",\n"127.0.0.1", "::1"] } }',
      '2:14',
      "clients.sources[2]: The argument 'addresses[1]' must not be there twice",
    ],
    [
      '{ "clients": { "sources": [5] } }',
      '1:28',
      'clients.sources[0]: The "sources" argument must be of type string',
    ],
    [
      '{ "clients": { "portRange": { "min": 5, "max": 4 } } }',
      '1:29',
      'clients.portRange: The value of "IP_LOCAL_PORT_RANGE.min" is out of range',
    ],
    [
      '{ "clients": { "settings": { "IP_LOCAL_PORT_RANGE": { "min": 40000, "max": 41000 } },\n "portRange": { "min": 40000, "max": 41000 } } }',
      '2:15',
      "clients.portRange: The argument 'portRange' cannot be given together with",
    ],
    [
      '{ "clients": { "match": { "hosts": [] } } }',
      '1:27',
      'clients.match.hosts: is not one of: addresses, ports',
    ],
    [
      '{ "clients": { "match": { "addresses": ["example.com"] } } }',
      '1:41',
      "clients.match.addresses[0]: The argument 'addresses' must have IP addresses",
    ],
    [
      '{ "clients": { "match": { "addresses": ["10.0.0.0/33"] } } }',
      '1:41',
      'clients.match.addresses[0]: The value of "prefix" is out of range',
    ],
    [
      '{ "clients": { "match": { "ports": [80, 65536] } } }',
      '1:41',
      'clients.match.ports[1]: The value of "ports" is out of range',
    ],
  ])('is refused with its position and its path: %j', (text, position, message) => {
    const error = failureOf(() => read(text))
    expect(error.message.slice(0, message.length + position.length + 15)).toBe(
      `SOCKET_TUNER:${position}: ${message}`,
    )
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
    'ends with 1 and the position before the program begins (%s)',
    async (how) => {
      const configuration = '{\n  "clients": { "settings": { "TCP_NODELAY": "yes" } }\n}'
      expect(await run(PROGRAM, [], { how, configuration })).toEqual({
        status: 1,
        stdout: '',
        stderr:
          'socket-tuner/register: SOCKET_TUNER:2:45: clients.settings.TCP_NODELAY: ' +
          `The "TCP_NODELAY" argument must be of type boolean. Received type string ('yes')\n`,
      })
    },
  )

  it('ends for an error in socket-tuner.json of the working directory', async () => {
    const cwd = folder({ 'socket-tuner.json': '{ "clients": }' })
    const file = path.join(cwd, 'socket-tuner.json')
    expect(await run(PROGRAM, [], { cwd })).toEqual({
      status: 1,
      stdout: '',
      stderr: `socket-tuner/register: ${file}:1:14: a value was expected here\n`,
    })
  })

  it('ends for an error in the file that SOCKET_TUNER names, and where there is none', async () => {
    const cwd = folder({ 'my.json': '\uFEFF{ "clients": {\n"closeMode": 1 } }' })
    const file = path.join(cwd, 'my.json')
    const wrong = await run(PROGRAM, [], { cwd, configuration: '@my.json' })
    expect(wrong).toMatchObject({ status: 1, stdout: '' })
    expect(wrong.stderr).toContain(`socket-tuner/register: ${file}:2:14: clients.closeMode: `)
    const missing = await run(PROGRAM, [], { cwd, configuration: '@none.json' })
    expect(missing).toMatchObject({ status: 1, stdout: '' })
    expect(missing.stderr).toContain('socket-tuner/register: SOCKET_TUNER: ENOENT')
  })

  it('does not look for the file where SOCKET_TUNER is set', async () => {
    const cwd = folder({ 'socket-tuner.json': 'none' })
    expect(await run(PROGRAM, [], { cwd, configuration: '' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(await run(PROGRAM, [], { cwd })).toMatchObject({ status: 1 })
  })

  it('keeps for its worker threads what it began with', async () => {
    const cwd = folder({ 'socket-tuner.json': '{ "servers": { "closeMode": "deliver" } }' })
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
