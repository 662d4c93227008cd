import { expectNothingLost, runCycles } from '../helpers/cycles'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const CYCLES = 500
const FALLBACK = 'SOCKET_TUNER_DELIVER_FALLBACK'

labDescribe("mode 'deliver' without TCP timestamps", ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.tcp_timestamps': '0' })
  const deliver = { mode: 'deliver', host: '127.0.0.1', cycles: CYCLES } as const

  it("falls back to 'fin' by closeSocket, with a reason and one warning in a process", async () => {
    const run = await runCycles(namespace(), { ...deliver, way: 'closeSocket' })
    expectNothingLost(run, CYCLES, [FALLBACK])
    expect(run.client.reports).toEqual({
      'fin, here, TCP timestamps were not negotiated': CYCLES,
    })
    expect(run.timeWaits).toEqual({ client: CYCLES, server: 0 })
  })

  it.each(['destroySoon', 'destroy'] as const)("falls back to 'fin' by %s() too", async (way) => {
    const run = await runCycles(namespace(), { ...deliver, way })
    expectNothingLost(run, CYCLES, [FALLBACK])
    expect(run.timeWaits).toEqual({ client: CYCLES, server: 0 })
  })

  it('is used with requireTimestamps: false', async () => {
    const options = { requireTimestamps: false }
    const run = await runCycles(namespace(), { ...deliver, way: 'closeSocket', options })
    expectNothingLost(run, CYCLES)
    expect(run.client.reports).toEqual({ 'deliver, avoided': CYCLES })
    expect(run.timeWaits).toEqual({ client: 0, server: 0 })
  })
})
