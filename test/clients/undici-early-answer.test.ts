import { Readable } from 'node:stream'
import { tunedConnector } from '../../lib/clients/undici'
import { makeCertificate } from '../helpers/certificate'
import { closeLater } from '../sockets'
import { answerAndClose, serveUploads, type End } from './early-answers'
import { describeReleases, type Undici } from './undici-releases'

const certificate = makeCertificate()
const ends = ['a RST', 'a FIN and then a RST'] as const
const cases = (['http', 'https'] as const).flatMap((protocol) =>
  ends.map((end) => [protocol, end] as const),
)

/** Continues an upload after the server has answered and closed, in the same turn of the event loop. */
async function upload(
  undici: Undici,
  protocol: 'http' | 'https',
  text: string,
  end: End,
  connect = tunedConnector({ ca: certificate.cert }) as object,
): Promise<{ status: number; body: string }> {
  const { port, next } = await serveUploads(protocol === 'https' ? certificate : undefined)
  const dispatcher = new undici.Agent({ connect } as ConstructorParameters<Undici['Agent']>[0])
  closeLater(() => void dispatcher.destroy())
  const body = new Readable({ read: () => undefined })
  const url = `${protocol}://localhost:${String(port)}/`
  body.push('some')
  const asked = undici.request(url, { method: 'PUT', body, dispatcher })
  asked.catch(() => undefined)
  const peer = await next()
  const write = (chunk: string): void => {
    // Emits the data at once, not in a later turn.
    body.emit('data', Buffer.from(chunk))
  }
  answerAndClose(peer, text, end, () => {
    write('more')
  })
  write('too late')
  const answer = await asked
  return { status: answer.statusCode, body: await answer.body.text() }
}

const head = 'HTTP/1.1 413 Payload Too Large\r\n'

describeReleases('an early answer', (load) => {
  let undici: Undici
  beforeAll(async () => {
    undici = await load()
  })

  describe.each(cases)('to an upload over %s, before %s', (protocol, end) => {
    it.each([
      [
        'with Connection: close',
        `${head}Connection: close\r\nContent-Length: 5\r\n\r\nlarge`,
        'large',
      ],
      ['without Connection: close', `${head}Content-Length: 5\r\n\r\nlarge`, 'large'],
      ['without a body', `${head}Content-Length: 0\r\n\r\n`, ''],
      ['in chunks', `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nlarge\r\n0\r\n\r\n`, 'large'],
    ])('is received (%s)', async (_form, text, body) => {
      expect(await upload(undici, protocol, text, end)).toEqual({ status: 413, body })
    })

    it('causes an error if it is incomplete', async () => {
      const text = `${head}Content-Length: 50\r\n\r\nla`
      await expect(upload(undici, protocol, text, end)).rejects.toThrow()
    })

    it('causes an error if it is missing', async () => {
      await expect(upload(undici, protocol, '', end)).rejects.toThrow()
    })
  })

  it.each(ends)("is lost by undici's own connector before %s", async (end) => {
    const text = `${head}Connection: close\r\nContent-Length: 5\r\n\r\nlarge`
    await expect(upload(undici, 'http', text, end, {})).rejects.toThrow()
  })
})
