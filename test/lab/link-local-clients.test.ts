import * as path from 'node:path'
import { labDescribe } from '../helpers/lab'
import { LINK, useLinkedNamespaces, type Namespace } from '../helpers/namespace'

const HERE = 'fe80::a'
const THERE = 'fe80::b'
/** The local address that the kernel chooses: the one that was added last. */
const ALSO_HERE = 'fe80::c'
const REGISTER = path.join(__dirname, '..', '..', 'dist', 'register', 'index.js')

async function addLinkLocal(namespace: Namespace, address: string): Promise<void> {
  // Without duplicate address detection, bind() to the address works at once.
  await namespace.run('ip', '-6', 'address', 'add', `${address}/64`, 'dev', LINK, 'nodad')
}

labDescribe('the zone of a link-local address', ['root', 'ip', 'ipv6'], () => {
  const linked = useLinkedNamespaces()

  beforeAll(async () => {
    const { left, right } = linked()
    await addLinkLocal(left, HERE)
    await addLinkLocal(left, ALSO_HERE)
    await addLinkLocal(right, THERE)
  })

  it('works in every way to connect, at both ends', async () => {
    const { left, right } = linked()
    const host = `${THERE}%${LINK}`
    const { ready } = await right.start('link-local-server', { host })
    const { address, port } = ready as { address: string; port: number }
    expect(address).toBe(host)
    const source = `${HERE}%${LINK}`
    const ways = [
      'localAddress',
      'source',
      'a list',
      'SourcePool',
      'TunedAgent',
      'tunedConnector',
      'RawSocket',
      'net.connect, localAddress',
    ]
    const result = await left.perform('link-local-client', { host, port, source, ways })
    const ends = { local: source, remote: host, server: { local: host, remote: source } }
    expect(result).toEqual({
      seen: Object.fromEntries(ways.map((way) => [way, ends])),
      usage: [expect.objectContaining({ address: source })],
    })
  })

  it('works under register, with and without a source of the program', async () => {
    const { left, right } = linked()
    const host = `${THERE}%${LINK}`
    const { ready } = await right.start('link-local-server', { host })
    const { port } = ready as { port: number }
    const [own, registers] = [`${ALSO_HERE}%${LINK}`, `${HERE}%${LINK}`]
    const ways = ['net.connect, localAddress', 'net.connect']
    const configuration = JSON.stringify({ clients: { source: registers } })
    const node = [
      'env',
      `SOCKET_TUNER=${configuration}`,
      process.execPath,
      `--require=${REGISTER}`,
    ] as const
    const result = await left.perform('link-local-client', { host, port, source: own, ways }, node)
    const from = (local: string): object => ({
      local,
      remote: host,
      server: { local: host, remote: local },
    })
    expect(result).toMatchObject({
      seen: { 'net.connect, localAddress': from(own), 'net.connect': from(registers) },
    })
  })

  it('works if written as the number of the interface', async () => {
    const { left } = linked()
    const [index = ''] = (await left.run('ip', '-o', 'link', 'show', LINK)).split(':')
    const config = { host: THERE, port: 9, source: HERE }
    const { program } = await left.start('link-local-client', config)
    expect(await program.ask('bound', `${HERE}%${index}`)).toBe(`${HERE}%${LINK}`)
    await program.stop()
  })
})
