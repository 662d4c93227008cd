import type { AddressInfo } from 'node:net'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

/** A link-local address on the loopback interface, which is the first one of each namespace. */
const ADDRESS = 'fe80::7'

labDescribe('a link-local address with its zone', ['root', 'ip', 'ipv6'], () => {
  const namespace = useNamespace()

  beforeAll(() => namespace().run('ip', 'address', 'add', `${ADDRESS}/64`, 'dev', 'lo', 'nodad'))

  it.each([`${ADDRESS}%lo`, `${ADDRESS}%1`])('works in prefork(), written as %s', async (host) => {
    const { ready } = await namespace().start('prefork-server', { host, workers: 2 })
    const { address } = ready as { address: AddressInfo }
    expect(address).toEqual({ address: `${ADDRESS}%lo`, family: 'IPv6', port: address.port })
    const listeners = await namespace().run('ss', '-Hltn', `sport = :${String(address.port)}`)
    expect(listeners.match(/\[fe80::7\]%lo:\d+/g)).toHaveLength(2)
  })

  it.each([`${ADDRESS}%lo`, `${ADDRESS}%1`])('works in listen(), written as %s', async (host) => {
    const { ready } = await namespace().start('link-local-server', { host })
    const { port } = ready as AddressInfo
    expect(ready).toEqual({ address: `${ADDRESS}%lo`, family: 'IPv6', port })
    expect(await namespace().run('ss', '-Hltn', `sport = :${String(port)}`)).toContain(
      '[fe80::7]%lo:',
    )
  })

  it.each([
    [
      ADDRESS,
      `${ADDRESS}]:0: a link-local address needs the name of an interface, for example ${ADDRESS}%eth0`,
    ],
    [`${ADDRESS}%nosuch`, "interface 'nosuch' does not exist or has no address"],
  ])('explains the error of %s', async (host, reason) => {
    const { ready } = await namespace().start('prefork-server', { host, workers: 2 })
    expect(ready).toMatchObject({
      error: { code: 'EINVAL', message: expect.stringContaining(reason) as string },
    })
  })
})
