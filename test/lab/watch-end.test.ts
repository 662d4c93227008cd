import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

labDescribe('watchPorts() when the kernel settings become unreadable', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('ends, and reports the failure by its promise and one warning', async () => {
    const node = ['unshare', '--mount', process.execPath] as const
    expect(await namespace().perform('watch-end', {}, node)).toEqual({
      before: { looks: 9, running: true },
      after: {
        running: false,
        latest: 0,
        error: {
          code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
          message: expect.stringContaining('mount /proc') as string,
        },
      },
      warnings: ['SOCKET_TUNER_WATCH_ENDED'],
    })
  })
})
