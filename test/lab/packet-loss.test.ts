import { labDescribe } from '../helpers/lab'
import { type Namespace, RIGHT, useLinkedNamespaces } from '../helpers/namespace'
import { runTransfers } from '../helpers/transfers'

const CONNECTIONS = 100

/** Drops 3 % of incoming TCP packets at random. */
const loss = `
table inet loss {
  chain input {
    type filter hook input priority 0
    meta l4proto tcp numgen random mod 100 < 3 counter drop
  }
}
`

labDescribe(
  'on a link that loses 3 % of the packets in each direction,',
  ['root', 'ip', 'nft'],
  () => {
    const namespaces = useLinkedNamespaces()

    it("mode 'deliver' loses no byte of connections that are all closed at once", async () => {
      const { left, right } = namespaces()
      await left.run('nft', loss)
      await right.run('nft', loss)
      const { port, transfers } = await runTransfers(
        { from: left, to: right },
        {
          host: RIGHT,
          connections: CONNECTIONS,
          atATime: CONNECTIONS,
          bytes: 300_000,
          fewerEach: 2_900,
          pauseMs: 500,
          options: { mode: 'deliver' },
        },
      )
      expect(transfers).toHaveLength(CONNECTIONS)
      for (const { written, report, received } of transfers) {
        expect(report).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
        expect(received).toMatchObject({ bytes: written, ended: true })
        expect(received).not.toHaveProperty('error')
      }
      expect(await left.timeWaits({ remotePort: port })).toBe(0)
      expect(await dropped(left)).toBeGreaterThan(0)
      expect(await dropped(right)).toBeGreaterThan(0)
    })
  },
)

async function dropped(namespace: Namespace): Promise<number> {
  const rules = await namespace.run('nft', 'list', 'ruleset')
  return Number(/counter packets (\d+)/.exec(rules)?.[1])
}
