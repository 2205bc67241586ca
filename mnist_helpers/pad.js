// A page to draw on. It sends the drawing to the kernel and shows the text that comes back.

const SIZE = 280; // pixels each way; pad.py has the same number
const PEN = 20; // a digit as tall as the page is then as bold as those of MNIST
const STEP = 10; // how far an arrow key moves the pen
const PATIENCE = 20000; // milliseconds
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
// For whatever has the focus: else Jupyter takes arrows and Enter for its own shortcuts.
const KEYS = { "data-lm-suppress-shortcuts": "true" };
const LATE =
  "There is no answer yet. If the kernel is not busy, run this cell again and draw once more.";

function make(parent, tag, attributes = {}, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

function render({ model, el }) {
  const id = `digit-pad-${Math.random().toString(36).slice(2)}`;
  const pad = make(el, "div", { class: "digit-pad", role: "group", "aria-label": "Digit pad" });
  const help = "Draw a digit. Without a pointer: arrow keys move the pen, Space sets it down or lifts it.";
  make(pad, "p", { id }, help);
  const page = make(pad, "div", { class: "digit-pad-page" });
  const canvas = make(page, "canvas", {
    width: SIZE,
    height: SIZE,
    role: "img",
    tabindex: 0,
    "aria-describedby": id,
    ...KEYS,
  });
  const mark = make(page, "span", { class: "digit-pad-pen" });
  const buttons = make(pad, "div", { class: "digit-pad-buttons" });
  const read = make(buttons, "button", { type: "button", ...KEYS }, "Read it");
  const clear = make(buttons, "button", { type: "button", ...KEYS }, "Clear");
  const status = make(pad, "p", { role: "status" });

  // Software drawing: the same strokes give the same pixels, whatever the graphics card.
  const ink = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  let pen, strokes, penDown, pointer, late;

  function say(text) {
    clearTimeout(late);
    status.textContent = text;
  }

  function place(at, down) {
    [pen, penDown] = [at, down];
    mark.style.left = `${(100 * pen[0]) / SIZE}%`;
    mark.style.top = `${(100 * pen[1]) / SIZE}%`;
    mark.classList.toggle("down", down);
    const drawn = strokes === 0 ? "empty" : strokes === 1 ? "one stroke" : `${strokes} strokes`;
    canvas.setAttribute("aria-label", `Your drawing: ${drawn}`);
  }

  function wipe() {
    ink.fillStyle = "white";
    ink.fillRect(0, 0, SIZE, SIZE);
    ink.fillStyle = ink.strokeStyle = "black";
    ink.lineWidth = PEN;
    ink.lineCap = "round";
    strokes = 0;
    pointer = undefined;
    place([SIZE / 2, SIZE / 2], false);
    say("");
  }

  function start(at) {
    strokes += 1;
    ink.beginPath();
    ink.arc(...at, PEN / 2, 0, 2 * Math.PI);
    ink.fill();
    place(at, true);
  }

  function moveTo(at) {
    if (penDown) {
      ink.beginPath();
      ink.moveTo(...pen);
      ink.lineTo(...at);
      ink.stroke();
    }
    place(at, penDown);
  }

  function where(event) {
    const box = canvas.getBoundingClientRect();
    const scale = SIZE / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pointer !== undefined) return; // a second finger does not draw
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    start(where(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) moveTo(where(each));
  });
  canvas.addEventListener("lostpointercapture", (event) => {
    if (event.pointerId !== pointer) return;
    pointer = undefined;
    place(pen, false);
  });
  // Else a quick last stroke counts as a fling, and the tap on "Read it" only stops that.
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || pointer !== undefined) return;
    const move = MOVES[event.key];
    if (move) {
      moveTo(pen.map((at, axis) => Math.min(SIZE, Math.max(0, at + STEP * move[axis]))));
    } else if (event.key === " ") {
      if (penDown) place(pen, false);
      else start(pen);
      say(penDown ? "The pen is down." : "The pen is up.");
    } else return;
    event.preventDefault(); // else the notebook scrolls
  });

  read.addEventListener("click", () => {
    const rgba = ink.getImageData(0, 0, SIZE, SIZE).data;
    const gray = Uint8Array.from({ length: SIZE * SIZE }, (_, pixel) => rgba[4 * pixel]);
    say("Reading ...");
    late = setTimeout(say, PATIENCE, LATE);
    model.send({}, undefined, [gray.buffer]);
  });
  clear.addEventListener("click", wipe);

  function hear(message) {
    if (message.clear) wipe();
    else say(message.answer);
  }
  model.on("msg:custom", hear);
  wipe();
  return () => {
    model.off("msg:custom", hear);
    clearTimeout(late);
  };
}

export default { render };
