import { closeModeNames } from '../../lib'
import type { Place, Row } from '../../lib/cli/demo/messages'
import { run, type Ended } from './run-cli'

/** What the command allows itself, and a little more. */
const DEADLINE_MS = 95_000
// These read /proc and use options that only Linux has.
const linux = process.platform === 'linux' ? it : it.skip

interface Figures {
  place: Place
  rows: Row[]
  seconds: number
}

describe('socket-tuner demo --json', () => {
  const connections = 300
  let ended: Ended
  let figures: Figures

  beforeAll(async () => {
    ended = await run('demo', '--json', '--connections', String(connections), '--seconds', '5')
    figures = JSON.parse(ended.stdout) as Figures
  }, DEADLINE_MS)

  function row(mode: Row['mode']): Row {
    const found = figures.rows.find((each) => each.mode === mode)
    if (found === undefined) throw new Error(`No row for ${mode}`)
    return found
  }

  it('exits with 0 and prints nothing beside the figures', () => {
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(figures.seconds).toBeGreaterThan(0)
    expect(figures.place.connections).toBe(connections)
  })

  it('makes every connection in each mode, without an error of the client', () => {
    expect(figures.rows).toMatchObject(
      closeModeNames.map((mode) => ({
        mode,
        connections,
        clientErrors: {},
      })),
    )
    for (const { perSecond, atFirst, atLast } of figures.rows) {
      expect(Math.min(perSecond, atFirst, atLast)).toBeGreaterThan(0)
    }
  })

  it.each(['fin', 'deliver', 'lingering'] as const)(
    '%s loses no byte to a slow reader, and the server sees no error',
    (mode) => {
      const { written, received, lost, serverErrors } = row(mode)
      expect({ received, lost, serverErrors }).toEqual({
        received: written,
        lost: 0,
        serverErrors: {},
      })
      expect(written).toBe(12_000_000)
    },
  )

  it('reset loses bytes, reports no fewer, and the server sees an error for each connection', () => {
    const { lost, written, received, reportedDiscarded, serverErrors } = row('reset')
    expect(lost).toBeGreaterThan(0)
    expect(lost).toBe(written - received)
    expect(reportedDiscarded).toBeGreaterThanOrEqual(lost)
    expect(serverErrors).toEqual({ ECONNRESET: connections })
  })

  linux.each(['fin', 'lingering'] as const)('%s leaves a TIME_WAIT for each connection', (mode) => {
    const { timeWait } = row(mode)
    expect(timeWait).toBe(connections)
  })

  linux.each(['reset', 'deliver'] as const)('%s leaves no TIME_WAIT and all ports free', (mode) => {
    const { ports } = figures.place
    const { timeWait, portsFree, fallbacks } = row(mode)
    expect({ timeWait, fallbacks }).toEqual({ timeWait: 0, fallbacks: 0 })
    expect(portsFree).toBe(ports === null ? null : ports.max - ports.min + 1)
  })
})

describe('socket-tuner demo', () => {
  it(
    'prints a line for each step, the table and a reading of it, in 100 columns without escapes',
    async () => {
      const { code, stdout, stderr } = await run('demo', '--loopback', '--connections', '50')
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^On loopback/)
      for (const mode of closeModeNames) {
        expect(stdout).toMatch(new RegExp(`^${mode}: 50 connections in `, 'm'))
        expect(stdout).toMatch(new RegExp(`^${mode} +50 +[\\d,]+ `, 'm'))
      }
      expect(stdout).toMatch(/^Next: /m)
      expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([])

      expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]/)
    },
    DEADLINE_MS,
  )
})
