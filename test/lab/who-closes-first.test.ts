import { labDescribe } from '../helpers/lab'
import { LINK, RIGHT, useLinkedNamespaces, useNamespace } from '../helpers/namespace'
import { connectPeers } from '../helpers/peer'

const deliver = { mode: 'deliver' } as const

labDescribe("closeSocket() in mode 'deliver' after the peer has closed", ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('leaves TIME_WAIT at the peer, and reports that', async () => {
    const { client, server, port } = await connectPeers({ from: namespace(), to: namespace() })
    await client.read()
    await server.end()
    await client.sees('the FIN of the server', ({ ended }) => ended)
    await server.read()
    const report = await client.close(deliver)
    expect(report).toMatchObject({ mode: 'deliver', timeWait: 'peer' })
    await server.sees('the FIN of the client', ({ ended }) => ended)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaits({ localPort: port })).toBe(1)
  })
})

labDescribe("closeSocket() in mode 'deliver' while the peer closes", ['root', 'ip', 'tc'], () => {
  const namespaces = useLinkedNamespaces()

  it('leaves TIME_WAIT at both ends, as any close does', async () => {
    const { left, right } = namespaces()
    const ends = { from: left, to: right }
    const { client, server, port } = await connectPeers(ends, RIGHT)
    // For a client that has sent nothing, a server's 'deliver' falls back to 'fin'.
    await Promise.all([server.read(), client.write(1)])
    await server.sees('a byte', ({ bytes }) => bytes === 1)
    const ballast = await connectPeers(ends, RIGHT)
    // The data before the FINs takes half a second to arrive, so the FINs cross.
    const slow = ['root', 'tbf', 'rate', '160kbit', 'burst', '2000', 'limit', '100000']
    await left.run('tc', 'qdisc', 'add', 'dev', LINK, ...slow)
    await right.run('tc', 'qdisc', 'add', 'dev', LINK, ...slow)
    await Promise.all([ballast.client.write(10_000), ballast.server.write(10_000)])
    const reports = await Promise.all([client.close(deliver), server.close(deliver)])
    expect(reports).toMatchObject([
      { mode: 'deliver', discardedBytes: 0 },
      { mode: 'deliver', discardedBytes: 0 },
    ])
    expect(await left.timeWaits({ remotePort: port })).toBe(1)
    expect(await right.timeWaits({ localPort: port })).toBe(1)
  })
})
