import type { CloseModeName } from '../../lib'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { runTransfers, type TransferConfig, type TransferRun } from '../helpers/transfers'

const BYTES = 3_000_000
const CONNECTIONS = 50
/** The largest segment on loopback: a reset may overtake at most this much data. */
const LOOPBACK_SEGMENT = 65_483

labDescribe('closing right after 3 MB to a reader that pauses for 300 ms', ['root', 'ip'], () => {
  const namespace = useNamespace()

  function run(mode: CloseModeName, more: Partial<TransferConfig> = {}): Promise<TransferRun> {
    return runTransfers(
      { from: namespace(), to: namespace() },
      {
        host: '127.0.0.1',
        connections: CONNECTIONS,
        atATime: 10,
        bytes: BYTES,
        pauseMs: 300,
        options: { mode },
        ...more,
      },
    )
  }

  it.each([
    ['fin', CONNECTIONS],
    ['deliver', 0],
    ['lingering', CONNECTIONS],
  ] as const)(
    "loses no byte in mode '%s' and leaves %i TIME_WAIT entries",
    async (mode, timeWaits) => {
      const { port, transfers, warnings } = await run(mode)
      expect(transfers).toHaveLength(CONNECTIONS)
      for (const { report, received } of transfers) {
        expect(received).toMatchObject({ bytes: BYTES, ended: true })
        expect(received).not.toHaveProperty('error')
        expect(report).toMatchObject({ mode, discardedBytes: 0, unreadBytes: 0 })
        expect(report).not.toHaveProperty('fallback')
      }
      expect(warnings).toEqual([])
      expect(await namespace().timeWaits({ remotePort: port })).toBe(timeWaits)
    },
  )

  it("loses no byte in mode 'lingering' even if the reader sends in the meantime", async () => {
    const { transfers } = await run('lingering', { speaks: true })
    expect(transfers).toHaveLength(CONNECTIONS)
    for (const { report, received } of transfers) {
      expect(report).toMatchObject({ mode: 'lingering', discardedBytes: 0 })
      expect(report.unreadBytes).toBeGreaterThan(0)
      expect(received).toMatchObject({ bytes: BYTES, ended: true })
    }
  })

  it("counts the bytes that mode 'reset' discards to within one segment", async () => {
    const { port, transfers, warnings } = await run('reset')
    expect(transfers).toHaveLength(CONNECTIONS)
    for (const { written, report, received } of transfers) {
      expect(report).toMatchObject({ mode: 'reset', timeWait: 'avoided' })
      expect(report.discardedBytes).toBeGreaterThan(0)
      const unaccountedFor = written - report.discardedBytes - received.bytes
      expect(Math.abs(unaccountedFor)).toBeLessThanOrEqual(LOOPBACK_SEGMENT)
      expect(unaccountedFor).toBeGreaterThanOrEqual(0)
      expect(unaccountedFor).toBeLessThanOrEqual(report.inFlightBytes)
    }
    expect(warnings).toEqual(['SOCKET_TUNER_RESET_DISCARDS'])
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })
})
