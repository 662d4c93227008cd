import { constants } from 'node:os'
import * as path from 'node:path'
import { useCProgram } from '../helpers/c-program'
import type { CommandLine } from '../helpers/command'
import { labDescribe } from '../helpers/lab'
import {
  LEFT,
  LINK,
  RIGHT,
  useLinkedNamespaces,
  useNamespace,
  type Namespace,
} from '../helpers/namespace'

interface Failure {
  name: string
  message: string
  code: string
  errno: number
  syscall: string
  address: string
  port: number
  localAddress?: string
}

type Way =
  | 'connect'
  | 'a host name'
  | 'RawSocket.connect'
  | 'TunedAgent'
  | 'tunedConnector'
  | 'listen'
  | 'RawSocket.open'

interface Options {
  host?: string
  port?: number
  path?: string
  localAddress?: string
  localPort?: number
  settings?: object
  mptcp?: boolean
}

interface Client {
  /** Returns the error of one connection made in this way. */
  failure: (way: Way | 'node' | 'server.listen', options: Options) => Promise<Failure>
  exhaust: () => Promise<unknown>
}

const PORT = 8080
const clients = [
  'connect',
  'a host name',
  'RawSocket.connect',
  'TunedAgent',
  'tunedConnector',
] as const

/** Starts a client in a namespace, optionally under another command. */
async function client(namespace: Namespace, under: readonly string[] = []): Promise<Client> {
  const node: CommandLine = [...under, process.execPath] as unknown as CommandLine
  const { program } = await namespace.start('refused-client', {}, node)
  return {
    failure: async (way, options) => (await program.ask('attempt', { way, options })) as Failure,
    exhaust: () => program.ask('exhaust'),
  }
}

/** Asserts that the error of each way to connect is Node's own, with the reason at the end of its message. */
async function expectExplained(
  { failure }: Client,
  options: Options,
  reason: string | RegExp,
  ways: readonly Way[] = clients,
): Promise<Failure> {
  const nodes = await failure('node', options)
  const { code, errno, syscall, address, port } = nodes
  const explained = await Promise.all(ways.map((way) => failure(way, options)))
  for (const [index, { message, ...rest }] of explained.entries()) {
    const [head = '', ...parts] = message.split(': ')
    expect({ way: ways[index], ...rest }).toMatchObject({
      ...{ way: ways[index], name: 'SocketTunerError', code, errno, syscall, address, port },
    })
    expect(head).toMatch(new RegExp(`^${syscall} ${code} `))
    expect(head).toContain(address)
    if (typeof reason === 'string') expect(parts.join(': ')).toBe(reason)
    else expect(parts.join(': ')).toMatch(reason)
  }
  return nodes
}

labDescribe('the error of a connection that this host cannot make', ['root', 'ip', 'ipv6'], () => {
  const namespaces = useLinkedNamespaces()
  let inLeft: Client

  beforeAll(async () => {
    const { left } = namespaces()
    for (const [type, network] of [
      ['unreachable', '10.1.1.0/24'],
      ['prohibit', '10.1.2.0/24'],
      ['blackhole', '10.1.3.0/24'],
    ] as const)
      await left.run('ip', 'route', 'add', type, network)
    inLeft = await client(left)
  })

  const showing = (command: string): string => `\`${command}\` shows the route`

  it('names the missing route', async () => {
    await expectExplained(
      inLeft,
      { host: '192.0.2.1', port: PORT },
      `this host has no route to 192.0.2.1. ${showing('ip route get 192.0.2.1')}`,
    )
  })

  it('names the source address too', async () => {
    const from = { localAddress: LEFT, localPort: 0 }
    await expectExplained(
      inLeft,
      { host: '192.0.2.1', port: PORT, ...from },
      `this host has no route to 192.0.2.1 from ${LEFT}. ${showing(`ip route get 192.0.2.1 from ${LEFT}`)}`,
      ['connect', 'RawSocket.connect'],
    )
  })

  it('reports that the host has no IPv6', async () => {
    await expectExplained(
      inLeft,
      { host: '2001:db8::1', port: PORT },
      'this host has no route to 2001:db8::1, and no IPv6 address except link-local and loopback ones. ' +
        showing('ip route get 2001:db8::1'),
    )
  })

  it.each([
    [
      'unreachable',
      '10.1.1.1',
      'EHOSTUNREACH',
      /^a route of type unreachable covers 10\.1\.1\.1\. /,
    ],
    [
      'prohibit',
      '10.1.2.1',
      'EACCES',
      /^a route of type prohibit, or a sandbox .* forbids connections to 10\.1\.2\.1 port 8080\. /,
    ],
    [
      'blackhole',
      '10.1.3.1',
      'EINVAL',
      /^a route of type blackhole discards packets to 10\.1\.3\.1\. /,
    ],
  ])('names a route of type %s', async (_, host, code, reason) => {
    expect(await expectExplained(inLeft, { host, port: PORT }, reason)).toMatchObject({ code })
  })

  it.each([
    ['broadcast', '10.0.0.255'],
    ['broadcast', '255.255.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', 'ff02::1'],
  ])('reports that %s is the type of the address %s', async (_, host) => {
    await expectExplained(
      inLeft,
      { host, port: PORT },
      `${host} is a broadcast or multicast address, which TCP cannot connect to`,
    )
  })

  it('names a loopback source', async () => {
    const from = { localAddress: '127.0.0.1', localPort: 0 }
    await expectExplained(
      inLeft,
      { host: RIGHT, port: PORT, ...from },
      `the source 127.0.0.1 is a loopback address, from which ${RIGHT} cannot be reached: use another source, or none`,
      ['connect', 'RawSocket.connect'],
    )
  })

  it('names the zone that a link-local address lacks', async () => {
    await expectExplained(
      inLeft,
      { host: 'fe80::1', port: PORT },
      'a link-local address needs the name of an interface, for example fe80::1%eth0',
      ['connect', 'a host name', 'RawSocket.connect', 'TunedAgent', 'tunedConnector'],
    )
  })

  it('names a neighbour that does not answer', async () => {
    await expectExplained(
      inLeft,
      { host: '10.0.0.9', port: PORT },
      '10.0.0.9, or the gateway to it, does not answer on the link (`ip neighbour` shows ' +
        'FAILED), or a router or firewall on the path refused the connection (ICMP)',
    )
  })

  it('names the number of SYNs without an answer', async () => {
    const { right } = namespaces()
    await right.run(
      'nft',
      'add table ip t; add chain ip t c { type filter hook input priority 0; }',
    )
    await right.run('nft', 'add rule ip t c tcp dport 8081 drop')
    const { left } = namespaces()
    left.sysctl('net.ipv4.tcp_syn_linear_timeouts', '0')
    left.sysctl('net.ipv4.tcp_syn_retries', '1')
    await expectExplained(
      inLeft,
      { host: RIGHT, port: 8081 },
      /^10\.0\.0\.2 port 8081 answered none of the SYNs .* a firewall drops/,
      ['connect', 'RawSocket.connect'],
    )
  })
})

labDescribe('a firewall on the path', ['root', 'ip', 'nft', 'ipv6'], () => {
  const namespaces = useLinkedNamespaces()
  let inLeft: Client

  beforeAll(async () => {
    const { left, right } = namespaces()
    await left.run('ip', 'address', 'add', '2001:db8::1/64', 'dev', LINK, 'nodad')
    await right.run('ip', 'address', 'add', '2001:db8::2/64', 'dev', LINK, 'nodad')
    await right.run(
      'nft',
      'add table inet t; add chain inet t c { type filter hook input priority 0; }',
    )
    // Every segment must be answered at once.
    right.sysctl('net.ipv4.icmp_ratelimit', '0')
    right.sysctl('net.ipv6.icmp.ratelimit', '0')
    const rules = [
      'tcp dport 8001 reject with icmp type host-prohibited',
      'tcp dport 8002 reject with icmp type net-prohibited',
      'tcp dport 8003 reject with icmpv6 type admin-prohibited',
      'tcp dport 8004 reject with tcp reset',
    ]
    for (const rule of rules) await right.run('nft', `add rule inet t c ${rule}`)
    inLeft = await client(left)
  })

  it.each([
    [
      RIGHT,
      8001,
      'EHOSTUNREACH',
      /does not answer on the link .*or a router or firewall on the path refused the connection \(ICMP\)$/,
    ],
    [
      RIGHT,
      8002,
      'ENETUNREACH',
      /^a router or a firewall on the path reported that it has no route to 10\.0\.0\.2 \(ICMP\)$/,
    ],
    [
      '2001:db8::2',
      8003,
      'EACCES',
      /^a firewall on the path to 2001:db8::2 forbids the connection \(ICMPv6, administratively prohibited\)$/,
    ],
  ])(
    'that refuses connections to %s port %i is named in the error %s',
    async (host, port, code, reason) => {
      expect(await expectExplained(inLeft, { host, port }, reason)).toMatchObject({ code })
    },
  )

  it("causes Node's ECONNREFUSED if it sends a RST", async () => {
    const options = { host: RIGHT, port: 8004 }
    const nodes = await inLeft.failure('node', options)
    expect(nodes.code).toBe('ECONNREFUSED')
    for (const way of clients) expect(await inLeft.failure(way, options)).toEqual(nodes)
  })
})

labDescribe('the error of a process at its limit of descriptors', ['root', 'ip'], () => {
  const namespace = useNamespace()
  const options = { host: '127.0.0.1', port: PORT }

  it('names the limit, its value, and the way to raise it', async () => {
    const limited = await client(namespace(), ['prlimit', '--nofile=77'])
    expect(await limited.exhaust()).toBe('EMFILE')
    const reason =
      'this process has reached its limit of 77 open descriptors (RLIMIT_NOFILE). Remedies: close unused ' +
      'files and sockets; raise the limit, by `ulimit -n` in the shell, LimitNOFILE= in a systemd unit, or ' +
      '--ulimit nofile= on the command line of a container'
    const ways = ['connect', 'a host name', 'TunedAgent', 'tunedConnector'] as const
    await expectExplained(limited, options, reason, ways)
    const nodes = await limited.failure('server.listen', options)
    const { code, errno, syscall, address, port } = nodes
    expect(await limited.failure('listen', options)).toMatchObject({
      message: `listen EMFILE: too many open files 127.0.0.1:${String(PORT)}: ${reason}`,
      ...{ code, errno, syscall, address, port },
    })
    const unix = { path: '/nowhere', settings: { SO_SNDBUF: 50_000 } }
    const { message, ...fields } = await limited.failure('connect', unix)
    expect(message).toBe(`connect EMFILE /nowhere: ${reason}`)
    expect(fields).toMatchObject({ code, errno, syscall: 'connect', address: '/nowhere' })
    expect(await limited.failure('RawSocket.open', options)).toMatchObject({
      message: `socket for IPv4 TCP: EMFILE: ${reason}`,
      code: 'EMFILE',
      syscall: 'socket',
    })
  })
})

labDescribe('a sandbox', ['root', 'ip', 'cc'], () => {
  const namespace = useNamespace()
  const forbid = useCProgram('forbid')
  const options = { host: '127.0.0.1', port: PORT }

  function under(call: string, errno: number): Promise<Client> {
    return client(namespace(), [forbid().path, call, String(errno)])
  }

  it('that forbids connect() is named in the error', async () => {
    await expectExplained(
      await under('connect', constants.errno.EPERM),
      options,
      /^a sandbox of this process forbids connect\(\): a seccomp filter, a BPF program of its cgroup, or /,
    )
  })

  it('that forbids socket() is named in the error', async () => {
    await expectExplained(
      await under('socket', constants.errno.EACCES),
      options,
      /^a sandbox of this process forbids socket\(\): /,
      ['connect', 'a host name', 'TunedAgent', 'tunedConnector'],
    )
  })

  // This limit applies to the whole machine, so a seccomp filter simulates it.
  it('is distinguished from a full table of open files, whose error names fs.file-max', async () => {
    await expectExplained(
      await under('socket', constants.errno.ENFILE),
      options,
      /^this machine has reached its limit of \d+ open files \(fs\.file-max\)\. Remedy: raise fs\.file-max/,
      ['connect', 'a host name', 'TunedAgent', 'tunedConnector'],
    )
  })
})

labDescribe('MPTCP that is disabled', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.mptcp.enabled': '0' })

  it('is named in the error, with its sysctl', async () => {
    const { failure } = await client(namespace())
    const refused = await failure('RawSocket.open', { host: '127.0.0.1', mptcp: true })
    expect(refused).toMatchObject({
      message: 'socket for IPv4 MPTCP: ENOPROTOOPT: net.mptcp.enabled is 0',
      ...{ code: 'ENOPROTOOPT', syscall: 'socket' },
    })
  })
})

labDescribe('a local port', ['root', 'ip'], () => {
  const namespace = useNamespace()
  const ways = ['connect', 'RawSocket.connect'] as const

  it('of another socket is named in the error, with the command that shows the socket', async () => {
    const { server, port } = await namespace().serve('sink-server')
    const inside = await client(namespace())
    const options = { host: '127.0.0.1', port: PORT, localAddress: '127.0.0.1', localPort: port }
    const reason = `another socket has port ${String(port)}; \`ss -tanp sport = :${String(port)}\` shows which`
    expect(await expectExplained(inside, options, reason, ways)).toMatchObject({
      ...{ code: 'EADDRINUSE', syscall: 'bind', port },
    })
    await server.stop()
  })

  it('that needs a capability is named in the error, with the sysctl and its value', async () => {
    const inside = await client(namespace(), [
      'setpriv',
      '--bounding-set=-net_bind_service',
      '--inh-caps=-net_bind_service',
    ])
    const options = { host: '127.0.0.1', port: PORT, localAddress: '127.0.0.1', localPort: 79 }
    const reason =
      'port 79 is privileged (net.ipv4.ip_unprivileged_port_start = 1024); give the process ' +
      'CAP_NET_BIND_SERVICE, or lower that sysctl'
    expect(await expectExplained(inside, options, reason, ways)).toMatchObject({
      ...{ code: 'EACCES', syscall: 'bind', port: 79 },
    })
  })
})

labDescribe('a program under register', ['root', 'ip', 'cc'], () => {
  const namespace = useNamespace()
  const forbid = useCProgram('forbid')
  const register = path.join(__dirname, '..', '..', 'dist', 'register', 'index.js')
  const configuration = { clients: { settings: { IP_TTL: 61 }, close: 'deliver' } }
  const underRegister = [
    'env',
    `NODE_OPTIONS=--require=${register}`,
    `SOCKET_TUNER=${JSON.stringify(configuration)}`,
  ]

  /** Returns the error, which must be the same in a plain process and in one under register. */
  async function expectNodes(options: Options, under: readonly string[]): Promise<Failure> {
    const [plain, registered] = await Promise.all([
      client(namespace(), under),
      client(namespace(), [...underRegister, ...under]),
    ])
    if (under[0] === 'prlimit')
      expect([await plain.exhaust(), await registered.exhaust()]).toEqual(['EMFILE', 'EMFILE'])
    const nodes = await plain.failure('node', options)
    expect(await registered.failure('node', options)).toEqual(nodes)
    return nodes
  }

  it.each([
    ['a missing route', '192.0.2.1', [], 'ENETUNREACH'],
    ['a zone that is missing', 'fe80::1', [], 'EINVAL'],
    ['a refusal', '127.0.0.1', [], 'ECONNREFUSED'],
    ['no descriptor', '127.0.0.1', ['prlimit', '--nofile=77'], 'EMFILE'],
  ])("has Node's own error for %s", async (_, host, under, code) => {
    expect(await expectNodes({ host, port: PORT }, under)).toMatchObject({ code, name: 'Error' })
  })

  it("has Node's own error for a call that a sandbox forbids", async () => {
    const under = [forbid().path, 'connect', String(constants.errno.EPERM)]
    const nodes = await expectNodes({ host: '127.0.0.1', port: PORT }, under)
    expect(nodes).toMatchObject({ code: 'EPERM', name: 'Error' })
  })
})
