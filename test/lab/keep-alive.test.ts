import { afterAllClosed, type HttpServerConfig, serveHttp } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const CONNECTIONS = 200

labDescribe('an http server that drops idle connections', ['root', 'ip'], () => {
  const namespace = useNamespace()

  /** Returns the number of TIME_WAIT entries at the server once keepAliveTimeout has ended all connections. */
  async function timeWaitsAfterIdling(config: HttpServerConfig): Promise<number> {
    const { server, port } = await serveHttp(namespace(), { ...config, keepAliveTimeout: 50 })
    const client = await namespace().perform('idle-client', { port, connections: CONNECTIONS })
    expect(client).toEqual({ ends: CONNECTIONS, errors: {} })
    const seen = await afterAllClosed(server)
    expect(seen).toMatchObject({ connections: CONNECTIONS, requests: CONNECTIONS, errors: {} })
    return namespace().timeWaits({ localPort: port })
  }

  it("leaves no TIME_WAIT with close: 'deliver'", async () => {
    expect(await timeWaitsAfterIdling({ close: 'deliver' })).toBe(0)
  })

  it('leaves TIME_WAIT for each connection without tuning', async () => {
    expect(await timeWaitsAfterIdling({})).toBe(CONNECTIONS)
  })
})
