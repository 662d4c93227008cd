import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { until } from '../helpers/until'

labDescribe('TCP_DEFER_ACCEPT given to listen()', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('keeps a connection from the program until its first data is there', async () => {
    const settings = { TCP_DEFER_ACCEPT: 30 }
    const { server, port } = await namespace().serve('sink-server', { settings })
    const { program: client } = await namespace().start('wire-client', { port })
    await client.ask('connect', {})
    expect(await namespace().states({ remotePort: port })).toEqual({ ESTABLISHED: 1 })
    // The handshake is complete for the client, and waits for data at the server.
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

labDescribe('options given to listen() before the handshake', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('SO_RCVBUF and TCP_MAXSEG: the window scale and segment size that clients are told', async () => {
    const settings = { SO_RCVBUF: 16_384, TCP_MAXSEG: 900 }
    const { port } = await namespace().serve('sink-server', { settings })
    const { program } = await namespace().start('wire-client', { port })
    // Less the 12 bytes of the timestamp option.
    expect(await program.ask('connect', {})).toMatchObject({ sndMss: 888, sndWscale: 0 })
  })
})
