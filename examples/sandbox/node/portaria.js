// What a program needs of Portaria: requests, and the stream of events. Nothing has to be installed.

export class Refusal extends Error {
  constructor(status, {code, message, details}) {
    super(`${code}: ${message}`);
    Object.assign(this, {status, code, details});
  }
}

export class Portaria {
  constructor({url = 'http://127.0.0.1:8080', key}) {
    this.url = url;
    this.key = key;
  }

  async ask(method, path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: {Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json', ...headers},
      body: body && JSON.stringify(body),
    });
    const {success, data, error} = await answer.json();
    if (!success) throw new Refusal(answer.status, error);
    return data;
  }

  // events yields what happens from now on, until the signal. A program that must miss nothing keeps the
  // id of the last event, and comes back with it as Last-Event-ID.
  async *events(signal, opened = () => {}) {
    const answer = await fetch(`${this.url}/v1/events/stream?type=message.*`, {
      headers: {Authorization: `Bearer ${this.key}`}, signal,
    });
    if (!answer.ok) throw new Refusal(answer.status, (await answer.json()).error);
    opened();
    let text = '';
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const frames = text.split('\n\n');
      text = frames.pop();
      for (const frame of frames) {
        const data = frame.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
        if (data) yield JSON.parse(data);
      }
    }
  }
}
