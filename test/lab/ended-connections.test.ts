import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const NOBODY = 65_534

labDescribe('watchConnections()', ['root', 'ip'], () => {
  const namespace = useNamespace()

  describe.each([
    ['root', undefined],
    ['a user without privileges', NOBODY],
  ])('of %s', (_title, uid) => {
    it.each([
      ['the client closes first', 'fin here', 'fin peer'],
      ['the server closes first', 'fin peer', 'fin here'],
      ['the client resets', 'reset here', 'abort undefined'],
      // Without looks, the SYN of a client may as well be the FIN of a server.
      ['the server resets', 'undefined undefined', 'reset here'],
      // Neither end leaves an entry, so nothing shows that the client was first.
      ['the client delivers', 'fin undefined', 'abort undefined'],
    ])('reports that %s', async (way, client, server) => {
      const { program } = await namespace().start('ended-connections', {
        uid,
        watch: { looks: false, receiveBufferBytes: 65_536 },
      })
      expect(await program.ask('uid')).toBe(uid ?? 0)
      expect(await program.ask('end', way)).toEqual({ client, server })
      await program.stop()
    })
  })

  it('counts exactly what is lost while the event loop is held up', async () => {
    const connections = 200
    const { program } = await namespace().start('ended-connections', {
      watch: { looks: false, receiveBufferBytes: 4_096 },
    })
    const { all, lost } = (await program.ask('overflow', connections)) as Record<string, number>
    // Both ends of each, and the listening socket.
    expect(all).toBeLessThanOrEqual(2 * connections + 1)
    expect(lost).toBeGreaterThan(0)
    await program.stop()
  })
})
