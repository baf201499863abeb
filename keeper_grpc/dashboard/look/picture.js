// Saves a chart as a PNG, in this browser: its title, its sentence and the drawing, with the theme's colours.
const keeperInk = ["fill", "stroke", "stroke-width", "opacity", "font-family", "font-size", "font-weight"];
function keeperDrawing(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  // A picture has no style sheet, so that each shape takes its colours along.
  from.forEach((shape, at) => {
    const style = getComputedStyle(shape);
    for (const name of keeperInk) to[at].style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return copy;
}
async function keeperPicture(figure, name) {
  const svg = figure.querySelector(".plot svg");
  const { width, height } = svg.getBoundingClientRect();
  const drawing = new Image();
  drawing.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(keeperDrawing(svg)));
  await drawing.decode();
  const [edge, head, scale] = [16, 56, 2];
  const canvas = document.createElement("canvas");
  canvas.width = (width + 2 * edge) * scale;
  canvas.height = (height + head + 2 * edge) * scale;
  const ink = canvas.getContext("2d");
  const style = getComputedStyle(figure);
  ink.scale(scale, scale);
  ink.fillStyle = style.backgroundColor;
  ink.fillRect(0, 0, width + 2 * edge, height + head + 2 * edge);
  ink.fillStyle = style.color;
  ink.font = `600 16px ${style.fontFamily}`;
  ink.fillText(name, edge, edge + 16, width);
  ink.font = `13px ${style.fontFamily}`;
  ink.fillText(figure.querySelector(".chart-sentence").textContent, edge, edge + 38, width);
  ink.drawImage(drawing, edge, edge + head, width, height);
  const file = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name.toLowerCase().replaceAll(" ", "-") + ".png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-picture]");
  if (button) keeperPicture(button.closest("figure"), button.dataset.picture);
});
