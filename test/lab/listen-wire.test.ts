import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { until } from '../helpers/until'

labDescribe('TCP_DEFER_ACCEPT in listen()', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('delays a connection until its first data has arrived', async () => {
    const settings = { TCP_DEFER_ACCEPT: 30 }
    const { server, port } = await namespace().serve('sink-server', { settings })
    const { program: client } = await namespace().start('wire-client', { port })
    await client.ask('connect', {})
    expect(await namespace().states({ remotePort: port })).toEqual({ ESTABLISHED: 1 })
    // The handshake is complete for the client; the server waits for data.
    expect(await namespace().states({ localPort: port })).toEqual({ SYN_RECV: 1 })
    expect(await server.ask('seen')).toMatchObject({ connections: 0 })
    await client.ask('write', 'question')
    const seen = await until(
      'the connection was accepted',
      async () => (await server.ask('seen')) as { connections: number; bytes: number },
      ({ bytes }) => bytes > 0,
    )
    expect(seen).toMatchObject({ connections: 1, bytes: 'question'.length })
    expect(await namespace().states({ localPort: port })).toEqual({ ESTABLISHED: 1 })
  })
})

labDescribe('an option in listen()', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('determines the announced window scale (SO_RCVBUF) or segment size (TCP_MAXSEG)', async () => {
    const settings = { SO_RCVBUF: 16_384, TCP_MAXSEG: 900 }
    const { port } = await namespace().serve('sink-server', { settings })
    const { program } = await namespace().start('wire-client', { port })
    // Less the 12 bytes of the timestamp option.
    expect(await program.ask('connect', {})).toMatchObject({ sndMss: 888, sndWscale: 0 })
  })
})
