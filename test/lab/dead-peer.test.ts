import { makeCertificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const SECONDS = 5

describe.each(['plain', 'TLS'] as const)('over %s', (protocol) => {
  labDescribe(
    `a peer that is gone, with deadPeerDetection(${String(SECONDS)})`,
    ['root', 'ip', 'openssl'],
    () => {
      const namespace = useNamespace()

      it.each([
        ['while the connection is idle', false],
        ['while data is in flight', true],
      ])('is noticed %s', async (_, inFlight) => {
        const certificate = protocol === 'TLS' ? makeCertificate() : undefined
        const config = { tls: certificate, seconds: SECONDS }
        const { program } = await namespace().start('dead-peer', config)
        const { code, after } = (await program.ask('notice', { inFlight })) as {
          code: string
          after: number
        }
        await program.stop()
        expect(code).toBe('ETIMEDOUT')
        // Kernel timers never fire early. How late this process notices depends on the machine.
        expect(after).toBeGreaterThan(0.8 * SECONDS)
        process.stdout.write(
          `noticed ${inFlight ? 'in flight' : 'idle'} after ${after.toFixed(2)} s of ${String(SECONDS)}\n`,
        )
      })
    },
  )
})
