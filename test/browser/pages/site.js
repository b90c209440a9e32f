// What a script on somebody's page can try, for tests to call.

/** How a socket ends, or that it was let in. */
const openSocket = (url, token) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, ['replyx.v1', `replyx.token.${token}`]);
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).type !== 'connected') return;
      resolve('connected');
      socket.close();
    };
    socket.onclose = ({ code }) => resolve(code);
  });

/** The answer that the browser gives to the page; `refused` where it gives none. */
const startSession = async (url, token, secret) => {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ secret }),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return 'refused';
  }
};

/** What a stream of events has brought, as text that grows; or that the browser gave nothing. */
const events = { text: '' };
const readEvents = async (url, token) => {
  try {
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' } });
    const take = async () => {
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) events.text += chunk;
    };
    take().catch(() => {});
    return response.status;
  } catch {
    return 'refused';
  }
};

/** What a customer's page does where the token is not in the frame's address. */
const giveToken = (token, origin) => frames[0].postMessage({ type: 'replyx.token', token }, origin);

const addFrame = (src) => {
  const frame = document.createElement('iframe');
  frame.src = src;
  document.body.append(frame);
};

Object.assign(globalThis, { openSocket, startSession, events, readEvents, giveToken, addFrame });
