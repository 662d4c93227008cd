import { expectNothingLost, runCycles } from '../helpers/cycles'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { size } from '../helpers/size'

const FIRST_PORT = 32_768
/** At full size, the default range of Linux: 32768 to 60999. */
const PORTS = size('EXHAUSTED_PORTS')
/** Each port is used three to four times. */
const CYCLES = Math.ceil(PORTS * 3.55)
/** Less than the 60 s of TIME_WAIT, so that no port becomes free. */
const LESS_THAN_TIME_WAIT_MS = 30_000

labDescribe(`${String(CYCLES)} connections to one address and port`, ['root', 'ip'], () => {
  const namespace = useNamespace({
    'net.ipv4.ip_local_port_range': `${String(FIRST_PORT)} ${String(FIRST_PORT + PORTS - 1)}`,
  })

  it("are all made in mode 'deliver', and none is left in TIME_WAIT", async () => {
    // closeSocket() would wait up to 40 ms per connection for the peer's delayed ACK of the last message.
    const run = await runCycles(namespace(), {
      way: 'destroySoon',
      mode: 'deliver',
      host: '127.0.0.1',
      cycles: CYCLES,
    })
    expectNothingLost(run, CYCLES)
    expect(run.client.samples).toEqual(Array(10).fill(0))
    expect(run.timeWaits).toEqual({ client: 0, server: 0 })
  })

  it('are not all made with plain destroy(), because each port stays in TIME_WAIT', async () => {
    const { client, timeWaits } = await runCycles(namespace(), {
      way: 'destroy',
      host: '127.0.0.1',
      cycles: CYCLES,
      stopAfterMs: LESS_THAN_TIME_WAIT_MS,
    })
    expect(client.completed).toBeLessThanOrEqual(PORTS)
    // connect() becomes slow long before it fails, because it searches more and more ports.
    expect(['', 'EADDRNOTAVAIL']).toContain(Object.keys(client.errors).join())
    expect(timeWaits).toEqual({ client: client.completed, server: 0 })
  })
})
