import type { CloseReport, CloseOptions } from '../../lib'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { until } from '../helpers/until'

const UPLOADS = 100
const BYTES = 20_000_000
/** As in programs/sizes.js. */
const ANSWER = 1000

interface Seen {
  connections: number
  /** Of the uploads, before the closes. */
  bytesRead: number
  reports: CloseReport[]
  errors: Record<string, number>
  warnings: string[]
}

interface Uploads {
  /** The number of answers by their length. */
  answers: Record<string, number>
  errors: Record<string, number>
}

labDescribe('an early answer to an upload that is not being read', ['root', 'ip'], () => {
  const namespace = useNamespace()

  async function upload(server: { way: string; options?: object }) {
    const { server: program, port } = await namespace().serve('early-answer-server', server)
    const task = { port, uploads: UPLOADS, atATime: 4, bytes: BYTES }
    const client = (await namespace().perform('upload-client', task)) as Uploads
    const seen =
      server.way === 'closeSocket'
        ? await reported(program, UPLOADS)
        : ((await program.ask('seen')) as Seen)
    return { client, seen }
  }

  it("arrives completely each time with closeSocket 'lingering'", async () => {
    const { client, seen } = await upload({ way: 'closeSocket', options: { mode: 'lingering' } })
    expect(client).toEqual({ answers: { [ANSWER]: UPLOADS }, errors: {} })
    expect(seen).toMatchObject({ connections: UPLOADS, errors: {}, warnings: [] })
    for (const report of seen.reports) {
      expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0, timeWait: 'here' })
      expect(report).not.toHaveProperty('fallback')
    }
    expect(sum(seen.reports.map(({ unreadBytes }) => unreadBytes)) + seen.bytesRead).toBe(
      UPLOADS * BYTES,
    )
  })

  it("arrives completely each time with destroySoon() after setCloseMode(socket, 'lingering')", async () => {
    const { client, seen } = await upload({ way: 'destroySoon', options: { mode: 'lingering' } })
    expect(client).toEqual({ answers: { [ANSWER]: UPLOADS }, errors: {} })
    expect(seen).toMatchObject({ connections: UPLOADS, errors: {}, warnings: [] })
  })

  it("is lost with Node's own destroySoon()", async () => {
    const { client } = await upload({ way: 'destroySoon' })
    expect(client.answers[ANSWER] ?? 0).toBeLessThan(UPLOADS)
  })
})

labDescribe("closeSocket 'lingering' of a peer that never finishes", ['root', 'ip'], () => {
  const namespace = useNamespace()

  /** Runs a lingering close against a client that does not finish. Returns the report and the warnings. */
  async function linger(
    client: { everyMs?: number },
    options: Omit<CloseOptions, 'mode'>,
  ): Promise<{ report: CloseReport | undefined; warnings: string[]; program: Program }> {
    const config = { way: 'closeSocket', options: { mode: 'lingering', ...options } }
    const { server, port } = await namespace().serve('early-answer-server', config)
    const { program } = await namespace().start('unfinished-client', { ...client, port })
    const { reports, warnings } = await reported(server, 1)
    return { report: reports[0], warnings, program }
  }

  it('ends at idleMs without input', async () => {
    const { report, warnings } = await linger({}, { idleMs: 200, deadlineMs: 20_000 })
    expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0 })
    expect(report?.fallback?.message).toMatch(/nothing for 200 ms/)
    expect(warnings).toEqual([])
  })

  it('ends at deadlineMs if input continues, resets, and warns', async () => {
    const { report, warnings, program } = await linger(
      { everyMs: 20 },
      { idleMs: 10_000, deadlineMs: 400 },
    )
    expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0 })
    expect(report?.fallback?.message).toMatch(/after 400 ms/)
    expect(report?.unreadBytes).toBeGreaterThan(0)
    expect(warnings).toEqual(['SOCKET_TUNER_LINGERING_DEADLINE'])
    expect(['ECONNRESET', 'EPIPE']).toContain(await program.ask('error'))
  })
})

/** Returns the counts of the server once it has this number of reports. */
function reported(server: Program, closes: number): Promise<Seen> {
  return until(
    'the server has closed',
    async () => (await server.ask('seen')) as Seen,
    ({ reports }) => reports.length === closes,
  )
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
