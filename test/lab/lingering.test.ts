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
  /** How many answers of which length there were. */
  answers: Record<string, number>
  errors: Record<string, number>
}

labDescribe('an early answer to an upload that is not read meanwhile', ['root', 'ip'], () => {
  const namespace = useNamespace()

  async function upload(server: object): Promise<{ client: Uploads; seen: Seen }> {
    const { server: program, port } = await namespace().serve('early-answer-server', server)
    const task = { port, uploads: UPLOADS, atATime: 4, bytes: BYTES }
    const client = (await namespace().perform('upload-client', task)) as Uploads
    return { client, seen: (await program.ask('seen')) as Seen }
  }

  it("arrives whole each time with closeSocket 'lingering'", async () => {
    const { client, seen } = await upload({ way: 'closeSocket', options: { mode: 'lingering' } })
    expect(client).toEqual({ answers: { [ANSWER]: UPLOADS }, errors: {} })
    expect(seen).toMatchObject({ connections: UPLOADS, errors: {}, warnings: [] })
    expect(seen.reports).toHaveLength(UPLOADS)
    for (const report of seen.reports) {
      expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0, timeWait: 'here' })
      expect(report).not.toHaveProperty('fallback')
    }
    expect(sum(seen.reports.map(({ unreadBytes }) => unreadBytes)) + seen.bytesRead).toBe(
      UPLOADS * BYTES,
    )
  })

  it("arrives whole each time with destroySoon() after setCloseMode(socket, 'lingering')", async () => {
    const { client, seen } = await upload({ way: 'destroySoon', options: { mode: 'lingering' } })
    expect(client).toEqual({ answers: { [ANSWER]: UPLOADS }, errors: {} })
    expect(seen).toMatchObject({ connections: UPLOADS, errors: {}, warnings: [] })
  })

  it('is lost with destroySoon() as Node makes it', async () => {
    const { client } = await upload({ way: 'destroySoon' })
    expect(client.answers[ANSWER] ?? 0).toBeLessThan(UPLOADS)
  })
})

labDescribe("closeSocket 'lingering' of a peer that never finishes", ['root', 'ip'], () => {
  const namespace = useNamespace()

  /** Lets a client that does not finish meet a lingering close; returns its report and warnings. */
  async function linger(
    client: { everyMs?: number },
    options: Omit<CloseOptions, 'mode'>,
  ): Promise<{ report: CloseReport | undefined; warnings: string[]; program: Program }> {
    const config = { way: 'closeSocket', options: { mode: 'lingering', ...options } }
    const { server, port } = await namespace().serve('early-answer-server', config)
    const { program } = await namespace().start('unfinished-client', { ...client, port })
    const { reports, warnings } = await reported(server)
    return { report: reports[0], warnings, program }
  }

  function reported(server: Program): Promise<Seen> {
    return until(
      'the server has closed',
      async () => (await server.ask('seen')) as Seen,
      ({ reports }) => reports.length === 1,
    )
  }

  it('ends at idleMs when nothing comes', async () => {
    const { report, warnings } = await linger({}, { idleMs: 200, deadlineMs: 20_000 })
    expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0 })
    expect(report?.fallback?.message).toMatch(/nothing for 200 ms/)
    expect(warnings).toEqual([])
  })

  it('ends at deadlineMs when something keeps coming, resets, and warns', async () => {
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

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
