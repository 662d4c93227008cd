import { labDescribe } from '../helpers/lab'
import { LINK, useLinkedNamespaces, type Namespace } from '../helpers/namespace'

const HERE = 'fe80::a'
const THERE = 'fe80::b'

async function addLinkLocal(namespace: Namespace, address: string): Promise<void> {
  // Without duplicate address detection it can be bound to at once.
  await namespace.run('ip', '-6', 'address', 'add', `${address}/64`, 'dev', LINK, 'nodad')
}

labDescribe('Clients keep the zone of a link-local address', ['root', 'ip', 'ipv6'], () => {
  const linked = useLinkedNamespaces()

  beforeAll(async () => {
    const { left, right } = linked()
    await addLinkLocal(left, HERE)
    await addLinkLocal(right, THERE)
  })

  it('in every way to connect, at both ends', async () => {
    const { left, right } = linked()
    const host = `${THERE}%${LINK}`
    const { ready } = await right.start('link-local-server', { host })
    const { address, port } = ready as { address: string; port: number }
    expect(address).toBe(host)
    const source = `${HERE}%${LINK}`
    const result = await left.perform('link-local-client', { host, port, source })
    const ends = { local: source, remote: host, server: { local: host, remote: source } }
    expect(result).toEqual({
      seen: {
        localAddress: ends,
        source: ends,
        SourcePool: ends,
        TunedAgent: ends,
        tunedConnector: ends,
        RawSocket: ends,
      },
      usage: [expect.objectContaining({ address: source })],
    })
  })

  it('also when it is written as the number of the interface', async () => {
    const { left } = linked()
    const [index = ''] = (await left.run('ip', '-o', 'link', 'show', LINK)).split(':')
    const config = { host: THERE, port: 9, source: HERE }
    const { program } = await left.start('link-local-client', config)
    expect(await program.ask('bound', `${HERE}%${index}`)).toBe(`${HERE}%${LINK}`)
    await program.stop()
  })
})
