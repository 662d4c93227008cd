/**
 * The first purpose of TIME_WAIT: a delayed segment of an old connection arrives when its 4-tuple is in use again
 * (RFC 9293 section 3.6.1). The segments are real ones, captured and sent again.
 */
import * as path from 'node:path'
import type { CloseOptions } from '../../lib'
import { useCProgram } from '../helpers/c-program'
import { labDescribe } from '../helpers/lab'
import { LINK, RIGHT, useLinkedNamespaces } from '../helpers/namespace'
import type { SentReport } from '../helpers/peer'
import { extendedCounter } from '../helpers/tcp-table'
import { until } from '../helpers/until'

/** The only port that the client's kernel can choose. */
const LOCAL_PORT = 40_001
/** Bytes that the new connection echoes before old segments arrive, so that it is fully established. */
const BEFORE = 4_000_000
/**
 * The bytes that the client receives beyond those that it sends. By this margin, the ACK of an old segment may be
 * ahead and still cover only data that was sent.
 */
const SURPLUS = 1_000_000
/** Bytes written after the old segments. */
const AFTER = 1_000_000
/**
 * Receive buffers for large windows: the distance between the ACK of an old segment and those of the new connection
 * depends on how fast the ends of the old one answered each other.
 */
const RECEIVE_BUFFER = '4096 8388608 8388608'
/** With large segments, the connection is faster than the clock of sequence numbers even on a slow machine. */
const MTU = '9000'
const REFUSED = 'EADDRNOTAVAIL'

/**
 * The range of sequence numbers into which old segments are sent, bytes. Smaller than the initial window of the new
 * connection (10 segments): otherwise the peer would acknowledge unsent data, and the connection would stall.
 */
const REGION = 80_000

interface Seen {
  /** The number of received bytes by value: `o` from the old connection, `n` from the new one. */
  bytes: Record<string, number>
  ended: boolean
  closed: boolean
  error?: string
}

interface Injected {
  segments: number
  bytes: number
}

labDescribe('a delayed segment of a connection on the same 4-tuple', ['root', 'ip', 'cc'], () => {
  const namespaces = useLinkedNamespaces()
  const segments = useCProgram('segments')

  beforeAll(async () => {
    const { left, right } = namespaces()
    left.sysctl('net.ipv4.ip_local_port_range', `${String(LOCAL_PORT)} ${String(LOCAL_PORT)}`)
    for (const namespace of [left, right]) {
      await namespace.run('ip', 'link', 'set', LINK, 'mtu', MTU)
      namespace.sysctl('net.ipv4.tcp_rmem', RECEIVE_BUFFER)
      // A congestion control with pacing could be slower than the clock on a busy machine.
      namespace.sysctl('net.ipv4.tcp_congestion_control', 'reno')
      await namespace.run(segments().path, 'plain', LINK)
    }
  })

  const running: { stop: () => Promise<void> }[] = []

  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()))
  })

  /** Makes a connection, closes it in this way, and returns the state that it leaves. */
  async function afterClose(timestamps: '0' | '1', options: CloseOptions, localPort?: number) {
    const { left, right } = namespaces()
    left.sysctl('net.ipv4.tcp_timestamps', timestamps)
    right.sysctl('net.ipv4.tcp_timestamps', timestamps)
    const { server, port } = await right.serve('counting-echo-server', {
      host: RIGHT,
      surplus: SURPLUS,
    })
    const file = path.join(segments().directory, `captured-${String(port)}`)
    const capture = left.spawn(segments().path, 'capture', LINK, file)
    running.push(server, capture)
    await capture.wrote(/capturing/)
    const config = { host: RIGHT, port, localPort, surplus: SURPLUS }
    const { program: client } = await left.start('same-tuple-client', config)
    running.push(client)
    expect(await client.ask('open')).not.toHaveProperty('code')
    const { written, ms } = (await client.ask('outrunClock')) as { written: number; ms: number }
    process.stdout.write(
      `${String(written / 1e6)} MB echoed in ${ms.toFixed(0)} ms, the clock being at ` +
        `${((ms * 15_625) / 1e6).toFixed(1)} MB\n`,
    )
    const report = (await client.ask('close', options)) as SentReport
    const seen = async (): Promise<Seen[]> => (await server.ask('seen')) as Seen[]
    await until('the old connection is gone', seen, ([old]) => old?.closed === true)
    const { code: failure } = (await client.ask('open')) as { code?: string }
    return { report, failure, client, file, seen }
  }

  /** Also opens a new connection, and then resends old segments. */
  async function reopened(timestamps: '0' | '1', options: CloseOptions, localPort?: number) {
    const { left, right } = namespaces()
    const old = await afterClose(timestamps, options, localPort)
    const { report, failure, client, file, seen } = old
    expect(failure).toBeUndefined()
    const before = await rejected()
    const { send, receive } = (await client.ask('echo', BEFORE)) as Record<string, number>
    expect(send).toBeGreaterThan(REGION)
    const position = [BEFORE, BEFORE + SURPLUS, REGION, receive].map(String)
    const injected = JSON.parse(
      await left.run(segments().path, 'inject', LINK, file, ...position),
    ) as Injected
    await client.ask('writeAndEnd', AFTER)
    const [, received] = await until('all is there', seen, ([, next]) => next?.closed === true)
    const after = (await client.ask('seen')) as Seen
    expect(received).toMatchObject({ ended: true })
    expect(received).not.toHaveProperty('error')
    expect(after).not.toHaveProperty('error')
    const { o: stale = 0, n: genuine = 0 } = received?.bytes ?? {}
    const written = BEFORE + AFTER
    return { report, injected, stale, genuine, written, rejected: (await rejected()) - before }

    async function rejected(): Promise<number> {
      return extendedCounter(await right.run('cat', '/proc/net/netstat'), 'PAWSEstab')
    }
  }

  describe('without TCP timestamps', () => {
    it.each<[string, CloseOptions]>([
      [
        "mode 'deliver' with requireTimestamps: false",
        { mode: 'deliver', requireTimestamps: false },
      ],
      ["mode 'reset'", { mode: 'reset' }],
    ])('enters the next connection after %s without an error', async (_, options) => {
      const { report, injected, stale, genuine, written } = await reopened('0', options)
      expect(report).toMatchObject({ mode: options.mode, timeWait: 'avoided' })
      expect(injected.segments).toBeGreaterThan(0)
      expect(stale).toBeGreaterThan(0)
      // The stale bytes replace written ones, so the length of the stream is right.
      expect(stale + genuine).toBe(written)
      process.stdout.write(
        `${String(stale)} stale bytes in the stream, of ${String(injected.segments)} segments sent again\n`,
      )
    })

    it("cannot enter a next connection after mode 'deliver', which falls back to 'fin'", async () => {
      const { report, failure } = await afterClose('0', { mode: 'deliver' })
      expect(report).toMatchObject({
        mode: 'fin',
        fallback: { code: 'no-timestamps' },
        timeWait: 'here',
      })
      expect(failure).toBe(REFUSED)
    })
  })

  describe('with TCP timestamps', () => {
    it.each(['deliver', 'reset'] as const)(
      "is rejected and counted by PAWS after mode '%s'",
      async (mode) => {
        const { report, injected, stale, genuine, written, rejected } = await reopened('1', {
          mode,
        })
        expect(report).toMatchObject({ mode, timeWait: 'avoided' })
        expect(injected.segments).toBeGreaterThan(0)
        expect(rejected).toBe(injected.segments)
        expect({ stale, genuine }).toEqual({ stale: 0, genuine: written })
        process.stdout.write(`${String(rejected)} segments sent again, all rejected by PAWS\n`)
      },
    )

    it("cannot enter a next connection after mode 'fin'", async () => {
      const { report, failure } = await afterClose('1', { mode: 'fin' })
      expect(report).toMatchObject({ mode: 'fin', timeWait: 'here' })
      expect(failure).toBe(REFUSED)
    })

    it("does not fit into the next connection after mode 'fin' if bind(2) names the port", async () => {
      // The kernel gives the TIME_WAIT entry to a socket that was bound to its port, whatever
      // tcp_tw_reuse says, and begins 65,537 after its last sequence number (tcp_twsk_unique()).
      const { report, injected, stale } = await reopened('1', { mode: 'fin' }, LOCAL_PORT + 1)
      expect(report).toMatchObject({ mode: 'fin', timeWait: 'here' })
      expect(injected).toEqual({ segments: 0, bytes: 0 })
      expect(stale).toBe(0)
    })
  })
})
