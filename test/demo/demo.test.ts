import { closeModeNames } from '../../lib'
import type { Demo, ModeResult } from '../../lib/demo/demo'
import { run, type Ended } from '../cli/run-cli'

/** A little more than the deadline of the demo itself. */
const DEADLINE_MS = 95_000
// Some tests read /proc or use options that only Linux has.
const linux = process.platform === 'linux' ? it : it.skip

describe('socket-tuner demo --json', () => {
  const connections = 300
  let ended: Ended
  let demo: Demo

  beforeAll(async () => {
    ended = await run('demo', '--json', '--connections', String(connections), '--seconds', '5')
    demo = JSON.parse(ended.stdout) as Demo
  }, DEADLINE_MS)

  function resultOf(mode: ModeResult['mode']): ModeResult {
    const found = demo.results.find((each) => each.mode === mode)
    if (found === undefined) throw new Error(`No result for ${mode}`)
    return found
  }

  it('exits with code 0, and prints only the figures', () => {
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(demo.seconds).toBeGreaterThan(0)
    expect(demo.place.connections).toBe(connections)
  })

  it('makes every connection in each mode without an error at the client', () => {
    expect(demo.results).toMatchObject(
      closeModeNames.map((mode) => ({
        mode,
        connections,
        clientErrors: {},
      })),
    )
    for (const { perSecond, atFirst, atLast } of demo.results) {
      expect(Math.min(perSecond, atFirst, atLast)).toBeGreaterThan(0)
    }
  })

  it.each(['fin', 'deliver', 'lingering'] as const)(
    'reports that %s loses no byte of a slow reader, and causes no error at the server',
    (mode) => {
      const { written, received, lost, serverErrors } = resultOf(mode)
      expect({ received, lost, serverErrors }).toEqual({
        received: written,
        lost: 0,
        serverErrors: {},
      })
      expect(written).toBe(12_000_000)
    },
  )

  it('reports that reset loses bytes, but no more than it counts, and causes one error per connection at the server', () => {
    const { lost, written, received, reportedDiscarded, serverErrors } = resultOf('reset')
    expect(lost).toBeGreaterThan(0)
    expect(lost).toBe(written - received)
    expect(reportedDiscarded).toBeGreaterThanOrEqual(lost)
    expect(serverErrors).toEqual({ ECONNRESET: connections })
  })

  linux.each(['fin', 'lingering'] as const)(
    '%s leaves a TIME_WAIT entry for each connection',
    (mode) => {
      const { timeWait } = resultOf(mode)
      expect(timeWait).toBe(connections)
    },
  )

  linux.each(['reset', 'deliver'] as const)(
    '%s leaves no TIME_WAIT entry and all ports free',
    (mode) => {
      const { ports } = demo.place
      const { timeWait, portsFree, fallbacks } = resultOf(mode)
      expect({ timeWait, fallbacks }).toEqual({ timeWait: 0, fallbacks: 0 })
      expect(portsFree).toBe(ports === null ? null : ports.max - ports.min + 1)
    },
  )
})

describe('socket-tuner demo', () => {
  it(
    'prints a line for each step, the table and its explanation, in 100 columns and without escape sequences',
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
