import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { connectPeers } from '../helpers/peer'

/** More than the kernel's queues hold. */
const BYTES = 50_000_000

const afterSending = ['fin', 'deliver', 'lingering'] as const
const allModes = [...afterSending, 'reset'] as const

labDescribe('closeSocket', ['root', 'ip'], () => {
  const namespace = useNamespace()

  describe('of a peer that never reads', () => {
    it.each(afterSending)(
      "ends at its deadline in mode '%s', and counts the discarded bytes",
      async (mode) => {
        const { client, server } = await connectPeers({ from: namespace(), to: namespace() })
        const report = await client.writeAndClose(BYTES, { mode, deadlineMs: 300 })
        expect(report.mode).toBe(mode)
        expect(report.fallback?.message).toMatch(/deadline of 300 ms/)
        expect(report.discardedBytes).toBeGreaterThan(0)
        expect((await client.seen()).warnings).toContain('SOCKET_TUNER_CLOSE_DEADLINE')
        await server.read()
        const { bytes, error } = await server.sees('the FIN', ({ ended }) => ended)
        expect({ bytes, error }).toEqual({ bytes: BYTES - report.discardedBytes, error: undefined })
      },
    )

    it("does not wait for the peer in mode 'reset'", async () => {
      const { client, server } = await connectPeers({ from: namespace(), to: namespace() })
      const report = await client.writeAndClose(BYTES, { mode: 'reset' })
      expect(report).toMatchObject({ mode: 'reset', timeWait: 'avoided' })
      expect((await client.seen()).warnings).toEqual(['SOCKET_TUNER_RESET_DISCARDS'])
      await server.read()
      const { bytes } = await server.sees('the RST', ({ ended, closed }) => ended || closed)
      const lost = BYTES - bytes
      expect(report.discardedBytes).toBeLessThanOrEqual(lost)
      expect(report.discardedBytes + report.inFlightBytes).toBeGreaterThanOrEqual(lost)
    })
  })

  describe('of a peer that resets', () => {
    it.each(afterSending)("reports the error and the lost bytes in mode '%s'", async (mode) => {
      const { client, server, port } = await connectPeers({ from: namespace(), to: namespace() })
      const closed = client.writeAndClose(BYTES, { mode })
      await server.reset()
      const report = await closed
      expect(report.mode).toBe(mode)
      expect(report.timeWait).not.toBe('here')
      expect(['ECONNRESET', 'EPIPE']).toContain(report.error?.code)
      expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
      expect(report.discardedBytes).toBeGreaterThan(BYTES / 2)
    })

    it.each(allModes)("ends in mode '%s' even if the peer had reset it before", async (mode) => {
      const { client, server, port } = await connectPeers({ from: namespace(), to: namespace() })
      await server.reset()
      expect(await client.close({ mode })).toMatchObject({ mode, discardedBytes: 0 })
      expect((await client.seen()).closed).toBe(true)
      expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    })
  })
})

labDescribe(
  "closeSocket 'reset' of a peer whose acknowledgements are lost",
  ['root', 'ip', 'nft'],
  () => {
    const namespace = useNamespace()

    it('does not count retransmitted data as discarded if all of it has arrived', async () => {
      const { client, server, port } = await connectPeers({ from: namespace(), to: namespace() })
      const rules = `chain output { type filter hook output priority 0; tcp sport ${String(port)} drop; };`
      await namespace().run('nft', `table inet no_answers { ${rules} }`)
      await server.read()
      await client.write(1000)
      await server.sees('what was written', ({ bytes }) => bytes === 1000)
      await client.sendsAgain()
      const report = await client.close({ mode: 'reset' })
      expect(report).toMatchObject({ mode: 'reset', discardedBytes: 0, inFlightBytes: 1000 })
    })
  },
)
