import { expectNothingLost, runCycles } from '../helpers/cycles'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { size } from '../helpers/size'

const FIRST_PORT = 32_768
/** At full size those of Linux as it is: 32768 to 60999. */
const PORTS = size('EXHAUSTED_PORTS')
/** Each port is used again and again. */
const CYCLES = Math.ceil(PORTS * 3.55)
/** TIME_WAIT lasts 60 s: within that no port comes back. */
const LESS_THAN_TIME_WAIT_MS = 30_000

labDescribe(`${String(CYCLES)} connections to one address and port`, ['root', 'ip'], () => {
  const namespace = useNamespace({
    'net.ipv4.ip_local_port_range': `${String(FIRST_PORT)} ${String(FIRST_PORT + PORTS - 1)}`,
  })

  it("are all made and none is in TIME_WAIT in mode 'deliver'", async () => {
    const run = await runCycles(namespace(), {
      way: 'closeSocket',
      mode: 'deliver',
      host: '127.0.0.1',
      cycles: CYCLES,
    })
    expectNothingLost(run, CYCLES)
    expect(run.client.samples).toEqual(Array(10).fill(0))
    expect(run.timeWaits).toEqual({ client: 0, server: 0 })
  })

  it('are not made with plain destroy(): each port stays in TIME_WAIT', async () => {
    const { client, timeWaits } = await runCycles(namespace(), {
      way: 'destroy',
      host: '127.0.0.1',
      cycles: CYCLES,
      stopAfterMs: LESS_THAN_TIME_WAIT_MS,
    })
    expect(client.completed).toBeLessThanOrEqual(PORTS)
    // Slow long before it is an error: connect() searches ever more ports for a free one.
    expect(['', 'EADDRNOTAVAIL']).toContain(Object.keys(client.errors).join())
    expect(timeWaits).toEqual({ client: client.completed, server: 0 })
  })
})
