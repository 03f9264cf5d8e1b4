"""thingsvision's own way to the same features; run by a Python that has it: FOLDER SIZE DEVICE BATCH OUT.

Prints the seconds that reading pictures, the forward passes and saving take, without imports and building the model.
"""

import sys
import time
from pathlib import Path

import timm
import torch
from thingsvision.core.extraction.torch import PyTorchExtractor
from thingsvision.utils.data import DataLoader, ImageDataset
from torchvision import transforms


def main(folder: str, size: str, device: str, batch: str, out: str) -> None:
    """Extract the normalised tokens of every picture and save them."""
    model = timm.create_model(f"vit_{size}_patch14_dinov2", pretrained=False, img_size=224).to(device).eval()
    prepare = transforms.Compose(
        [
            transforms.Resize((224, 224), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    extractor = PyTorchExtractor(
        model_name=size, pretrained=False, device=device, model_parameters={"token_extraction": "avg_pool"}, model=model
    )
    start = time.perf_counter()
    pictures = ImageDataset(root=folder, out_path=out, backend="pt", transforms=prepare)
    batches = DataLoader(dataset=pictures, batch_size=int(batch), backend="pt")
    features = extractor.extract_features(batches=batches, module_name="norm", flatten_acts=False)
    torch.save(torch.from_numpy(features).half(), Path(out) / "features.pt")
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
