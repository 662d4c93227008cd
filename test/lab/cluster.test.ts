import { afterAllClosed, askAndWaitForEnd } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const REQUESTS = 1_000

labDescribe("in a cluster's worker", ['root', 'ip'], () => {
  const namespace = useNamespace()

  it("the server refuses options, and close: 'deliver' leaves no TIME_WAIT", async () => {
    const { program, ready } = await namespace().start('cluster-server')
    const { port, refusals } = ready as { port: number; refusals: Record<string, string> }
    expect(refusals).toEqual({
      setOption: 'ERR_SOCKET_TUNER_SHARED_HANDLE',
      tuneServer: 'ERR_SOCKET_TUNER_SHARED_HANDLE',
    })
    await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
    const { connections, counters } = await afterAllClosed(program)
    expect(connections).toBe(REQUESTS)
    expect(counters).toMatchObject({ closes: { deliver: REQUESTS }, fallbacks: {} })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })
})
