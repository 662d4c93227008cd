import { type CycleConfig, expectNothingLost, runCycles } from '../helpers/cycles'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { size } from '../helpers/size'

const onEnd = { mode: 'deliver', options: { onEnd: 'close' } } as const
const deliver: [string, Pick<CycleConfig, 'way' | 'mode' | 'options'>][] = [
  ['closeSocket', { way: 'closeSocket', mode: 'deliver' }],
  ["destroySoon() after setCloseMode(socket, 'deliver')", { way: 'destroySoon', mode: 'deliver' }],
  ["destroy() after setCloseMode(socket, 'deliver')", { way: 'destroy', mode: 'deliver' }],
  ["end() with onEnd: 'close'", { way: 'end', ...onEnd }],
  ["`await using` with onEnd: 'close'", { way: 'dispose', ...onEnd }],
]

const CONNECTIONS = size('CLOSE_MATRIX_CONNECTIONS')
/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

describe.each([
  { family: 'IPv4', host: '127.0.0.1', cycles: CONNECTIONS, needs: [] },
  { family: 'IPv6', host: '::1', cycles: CONNECTIONS / 5, needs: ['ipv6'] },
] as const)('over $family', ({ host, cycles, needs }) => {
  labDescribe(
    `a client that closes ${String(cycles)} connections`,
    ['root', 'ip', ...needs],
    () => {
      const namespace = useNamespace(manyPorts)

      it.each(deliver)(
        "loses nothing and leaves no TIME_WAIT by %s in mode 'deliver'",
        async (_, close) => {
          const run = await runCycles(namespace(), { ...close, host, cycles })
          expectNothingLost(run, cycles)
          expect(run.timeWaits).toEqual({ client: 0, server: 0 })
          if (close.way === 'closeSocket') {
            expect(run.client.reports).toEqual({ 'deliver, avoided': cycles })
          }
        },
      )

      it("loses nothing and leaves one TIME_WAIT entry each by closeSocket in mode 'fin'", async () => {
        const run = await runCycles(namespace(), { way: 'closeSocket', mode: 'fin', host, cycles })
        expectNothingLost(run, cycles)
        expect(run.timeWaits).toEqual({ client: cycles, server: 0 })
        expect(run.client.reports).toEqual({ 'fin, here': cycles })
      })
    },
  )
})
