/**
 * The second purpose of TIME_WAIT: a peer that missed the last acknowledgement receives it again (RFC 9293 section
 * 3.6.1). Without TIME_WAIT, the peer's half of the old connection still exists when the next one is opened on the same
 * 4-tuple.
 */
import { useCProgram } from '../helpers/c-program'
import type { Command } from '../helpers/command'
import { labDescribe } from '../helpers/lab'
import { LINK, RIGHT, useLinkedNamespaces } from '../helpers/namespace'
import { Peer, type SentReport } from '../helpers/peer'
import type { StateCounts } from '../helpers/tcp-table'
import { until } from '../helpers/until'

/** The only port that the client's kernel can choose. */
const LOCAL_PORT = 40_001
const BYTES = 1000

/** Drops every RST of the client's kernel, whether from a close or in answer to a stray segment. */
const NO_RST = {
  name: 'no_rst',
  rules: 'chain output { type filter hook output priority 0; tcp flags & rst == rst drop; };',
}

/** Drops incoming FINs, so that the client answers none. */
const NO_FIN = {
  name: 'no_fin',
  rules: 'chain input { type filter hook input priority 0; tcp flags & fin == fin drop; };',
}

interface Opened {
  code?: string
  ms: number
}

/** The segments exchanged when the SYN meets the old connection: RFC 5961 section 4.2. */
const CHALLENGED = [
  '> SYN',
  // The challenge ACK of the old connection, which the client's kernel no longer has.
  '< ACK',
  '> RST',
  // At once, not only after the 1 s of an unanswered SYN.
  '> SYN',
  '< SYN ACK',
  '> ACK',
]

const NEEDS = ['root', 'ip', 'nft', 'cc'] as const

labDescribe('a connection on the 4-tuple of one that the peer still has', NEEDS, () => {
  const namespaces = useLinkedNamespaces()
  const segments = useCProgram('segments')
  const running: { stop: () => Promise<void> }[] = []

  beforeAll(() => {
    const range = `${String(LOCAL_PORT)} ${String(LOCAL_PORT)}`
    namespaces().left.sysctl('net.ipv4.ip_local_port_range', range)
  })

  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()))
  })

  async function open(timestamps: string) {
    const { left, right } = namespaces()
    for (const namespace of [left, right]) namespace.sysctl('net.ipv4.tcp_timestamps', timestamps)
    const { server, port } = await right.serve('peer', { host: RIGHT })
    const { program: client } = await left.start('same-tuple-client', { host: RIGHT, port })
    running.push(server, client)
    expect(await client.ask('open')).not.toHaveProperty('code')
    await until(
      'the server has accepted',
      () => server.ask('isConnected'),
      (isConnected) => isConnected === true,
    )
    const stateIs = (state: keyof StateCounts): Promise<StateCounts> =>
      until(
        `the peer is in ${state}`,
        () => right.states({ localPort: port }),
        (states) => states[state] === 1,
      )
    return { client, server: new Peer(server), stateIs }
  }

  /** Runs `act` while the client's namespace drops these segments. */
  async function without<T>({ name, rules }: typeof NO_RST, act: () => Promise<T>): Promise<T> {
    const { left } = namespaces()
    await left.run('nft', `table inet ${name} { ${rules} }`)
    const result = await act()
    await left.run('nft', `delete table inet ${name}`)
    return result
  }

  async function trace(): Promise<Command> {
    const command = namespaces().left.spawn(segments().path, 'trace', LINK)
    running.push(command)
    await command.wrote(/tracing/)
    return command
  }

  /** Returns the handshake, which ends with the first ACK after a SYN ACK. */
  async function handshake(command: Command): Promise<string[]> {
    await command.wrote(/< SYN ACK\n\S+ > ACK\n/)
    const lines = command.output.split('\n').slice(1, -1)
    const first = Number(lines[0]?.split(' ')[0])
    for (const line of lines) {
      const [time, ...what] = line.split(' ')
      process.stdout.write(`${((Number(time) - first) * 1000).toFixed(1)} ms  ${what.join(' ')}\n`)
    }
    return lines.map((line) => line.slice(line.indexOf(' ') + 1)).filter(isNoLateFin)
  }

  /** Retransmissions of the old peer's FIN may arrive at any time, and are answered by a RST. */
  const isNoLateFin = (line: string): boolean => !line.includes('FIN')

  describe.each(['1', '0'])('with tcp_timestamps=%s', (timestamps) => {
    it('succeeds after a challenge if the last acknowledgements were lost, and the peer notices nothing', async () => {
      const { client, server, stateIs } = await open(timestamps)
      await without(NO_RST, async () => {
        const options = { mode: 'deliver', requireTimestamps: false }
        const report = (await client.ask('close', options)) as SentReport
        expect(report).toMatchObject({ mode: 'deliver', timeWait: 'avoided' })
        await stateIs('CLOSE_WAIT')
      })
      const command = await trace()
      const { code, ms } = await without(NO_FIN, async () => {
        await server.read()
        await server.end()
        await stateIs('LAST_ACK')
        await server.sees('its own end', ({ closed }) => closed)
        return (await client.ask('open')) as Opened
      })
      expect(code).toBeUndefined()
      expect(await handshake(command)).toEqual(CHALLENGED)
      process.stdout.write(`LAST_ACK: connect took ${ms.toFixed(1)} ms\n`)
      await client.ask('writeAndEnd', BYTES)
      await server.read()
      const seen = await server.sees('all of the new connection', ({ bytes }) => bytes === BYTES)
      expect(seen).not.toHaveProperty('error')
    })

    it('succeeds after a challenge if a RST was lost, and the old peer receives ECONNRESET', async () => {
      const { client, server, stateIs } = await open(timestamps)
      await without(NO_RST, async () => {
        const report = (await client.ask('close', { mode: 'reset' })) as SentReport
        expect(report).toMatchObject({ mode: 'reset', timeWait: 'avoided' })
      })
      await stateIs('ESTABLISHED')
      await server.read()
      const command = await trace()
      const { code, ms } = (await client.ask('open')) as Opened
      expect(code).toBeUndefined()
      expect(await handshake(command)).toEqual(CHALLENGED)
      process.stdout.write(`ESTABLISHED: connect took ${ms.toFixed(1)} ms\n`)
      const { error } = await server.sees('the end of the old one', ({ closed }) => closed)
      expect(error).toBe('ECONNRESET')
      await client.ask('writeAndEnd', BYTES)
      await server.read()
      await server.sees('all of the new connection', ({ bytes }) => bytes === BYTES)
    })
  })
})
